output "identity_id" {
  description = "The identity, to give to a service."
  value       = azurerm_user_assigned_identity.whatsit.id
}

output "client_id" {
  description = "By which the service asks for tokens."
  value       = azurerm_user_assigned_identity.whatsit.client_id
}

output "vault_id" {
  description = "Where its secrets go."
  value       = azurerm_key_vault.whatsit.id
}

output "vault_name" {
  description = "Name of that vault."
  value       = azurerm_key_vault.whatsit.name
}
