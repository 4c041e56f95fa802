output "url" {
  description = "Where people and programs find it."
  value       = "https://${module.web_app.host_name}"
}

output "resource_group" {
  description = "Resource group of the Web App."
  value       = azurerm_resource_group.whatsit.name
}

output "web_app_name" {
  description = "Name of the Web App, for `az webapp`."
  value       = module.web_app.web_app_name
}

output "identity_client_id" {
  description = "Client id of the app's identity."
  value       = module.web_app.identity_client_id
}

output "registry_login_server" {
  description = "Where images are pushed to: SERVER/whatsit."
  value       = data.azurerm_container_registry.shared.login_server
}

output "keys_storage_account" {
  description = "Storage account whose share `keys` takes the file keys.json."
  value       = module.web_app.keys_storage_account
}

output "redis_host" {
  description = "Host name of the managed Redis; null without one."
  value       = module.web_app.redis_host
}
