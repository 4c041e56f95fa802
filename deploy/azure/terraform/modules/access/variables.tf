variable "name" {
  type        = string
  description = "Name of the identity."
}

variable "vault_name" {
  type        = string
  description = "Name of the Key Vault, unlike any other in the world."
}

variable "location" {
  type        = string
  description = "Azure region."
}

variable "resource_group_name" {
  type        = string
  description = "Where everything goes."
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
}

variable "registry_id" {
  type        = string
  description = "Registry that the identity may pull from."
}

variable "tenant_id" {
  type        = string
  description = "Tenant of the Key Vault."
}

variable "operator_principal_id" {
  type        = string
  description = "Object id of whoever runs Terraform: may write secrets."
}
