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

variable "vault_from" {
  type        = set(string)
  default     = []
  description = "Networks, as CIDRs, that reach the vault beside the subnets; empty: everybody, and roles decide."
}

variable "subnet_ids" {
  type        = set(string)
  default     = []
  description = "Subnets of the service, which reach the vault by its endpoint."
}

variable "operator_principal_id" {
  type        = string
  description = "Object id of the identity that runs Terraform; it may write secrets."
}
