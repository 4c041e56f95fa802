output "registry_name" {
  description = "Name of the registry: variable registry_name of the other stacks, and ACR_NAME at GitHub."
  value       = azurerm_container_registry.shared.name
}

output "registry_login_server" {
  description = "Where images are pushed to: SERVER/whatsit."
  value       = azurerm_container_registry.shared.login_server
}

output "resource_group" {
  description = "Resource group of the registry."
  value       = azurerm_resource_group.shared.name
}

output "identity_client_id" {
  description = "The deployer: AZURE_CLIENT_ID at GitHub."
  value       = azurerm_user_assigned_identity.deployer.client_id
}

output "identity_principal_id" {
  description = "The deployer's object id: variable submitter_principal_id of the stack ml."
  value       = azurerm_user_assigned_identity.deployer.principal_id
}

output "tenant_id" {
  description = "AZURE_TENANT_ID at GitHub."
  value       = data.azurerm_client_config.current.tenant_id
}
