output "resource_group" {
  description = "Resource group of the workspace: `--resource-group` of `az ml`."
  value       = azurerm_resource_group.whatsit.name
}

output "workspace_name" {
  description = "Name of the workspace: `--workspace-name` of `az ml`."
  value       = module.ml_workspace.workspace_name
}

output "clusters" {
  description = "Names of the compute clusters: `compute: azureml:NAME` in the pipeline."
  value       = module.ml_workspace.clusters
}

output "identity_client_id" {
  description = "Client id of the identity that jobs run as."
  value       = module.ml_workspace.identity_client_id
}

output "registry_login_server" {
  description = "Registry of the environments."
  value       = module.ml_workspace.registry_login_server
}

output "storage_account" {
  description = "Storage of data, outputs and models."
  value       = module.ml_workspace.storage_account
}

output "url" {
  description = "The studio, where runs are watched."
  value       = "https://ml.azure.com/?wsid=${azurerm_resource_group.whatsit.id}/providers/Microsoft.MachineLearningServices/workspaces/${module.ml_workspace.workspace_name}&tid=${data.azurerm_client_config.current.tenant_id}"
}
