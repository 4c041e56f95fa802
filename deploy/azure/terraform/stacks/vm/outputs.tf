output "url" {
  description = "Where people and programs find it."
  value       = var.tls ? "https://${module.network.host_name}" : "http://${module.network.host_name}:8501"
}

output "ip_address" {
  description = "The machine's address."
  value       = module.network.ip_address
}

output "resource_group" {
  description = "Resource group of the machine, for `az vm run-command invoke`."
  value       = azurerm_resource_group.whatsit.name
}

output "vm_name" {
  description = "Name of the machine, for `az vm run-command invoke`."
  value       = module.vm.vm_name
}

output "identity_client_id" {
  description = "Client id of the machine's identity."
  value       = module.vm.identity_client_id
}

output "registry_login_server" {
  description = "Where images are pushed to: SERVER/whatsit."
  value       = data.azurerm_container_registry.shared.login_server
}

output "vault_name" {
  description = "Key Vault of the Redis password."
  value       = module.vm.vault_name
}

output "open_ports" {
  description = "Port to the networks that reach it; every other port is closed."
  value       = module.network.open_ports
}

output "user_data" {
  description = "The configuration for cloud-init; it contains no secret."
  value       = module.vm.user_data
}

output "roll_out" {
  description = "The command that brings an image; put its digest in."
  value       = "az vm run-command invoke --resource-group ${azurerm_resource_group.whatsit.name} --name ${module.vm.vm_name} --command-id RunShellScript --scripts '/opt/whatsit/deploy.sh ${data.azurerm_container_registry.shared.login_server}/whatsit@sha256:DIGEST'"
}
