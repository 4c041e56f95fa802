output "vm_name" {
  description = "Name of the machine, for `az vm run-command invoke`."
  value       = azurerm_linux_virtual_machine.whatsit.name
}

output "identity_client_id" {
  description = "Client id of the machine's identity."
  value       = module.access.client_id
}

output "vault_name" {
  description = "Key Vault of the Redis password."
  value       = module.access.vault_name
}

output "user_data" {
  description = "The configuration for cloud-init, to read it."
  value       = local.user_data
}
