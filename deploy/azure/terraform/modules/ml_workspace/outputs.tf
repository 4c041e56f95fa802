output "workspace_name" {
  description = "Name of the workspace."
  value       = azurerm_machine_learning_workspace.ml.name
}

output "identity_client_id" {
  description = "Client id of the identity that jobs run as."
  value       = azurerm_user_assigned_identity.jobs.client_id
}

output "registry_login_server" {
  description = "Registry of the environments."
  value       = azurerm_container_registry.ml.login_server
}

output "storage_account" {
  description = "Storage of data, outputs and models."
  value       = azurerm_storage_account.ml.name
}

output "clusters" {
  description = "Names of the compute clusters."
  value       = sort(keys(azurerm_machine_learning_compute_cluster.ml))
}
