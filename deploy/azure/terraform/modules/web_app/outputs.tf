output "web_app_name" {
  description = "Name of the Web App."
  value       = azurerm_linux_web_app.whatsit.name
}

output "host_name" {
  description = "The name that people use."
  value       = azurerm_linux_web_app.whatsit.default_hostname
}

output "identity_client_id" {
  description = "Client id of the app's identity."
  value       = module.access.client_id
}

output "keys_storage_account" {
  description = "Storage account whose share `keys` holds keys.json."
  value       = azurerm_storage_account.keys.name
}

output "redis_host" {
  description = "Host name of the managed Redis; null without one."
  value       = one(azurerm_managed_redis.cache[*].hostname)
}
