variable "name" {
  type        = string
  description = "Start of all names."
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

variable "subnet_id" {
  type        = string
  description = "Subnet of the machine."
}

variable "address_id" {
  type        = string
  description = "Public address of the machine."
}

variable "vm_size" {
  type        = string
  description = "Size of the machine."
}

variable "disk_gb" {
  type        = number
  description = "Size of its disk, GB."
}

variable "ssh_public_key" {
  type        = string
  description = "Key of the administrator; of no use while SSH is closed."
}

variable "registry_id" {
  type        = string
  description = "Registry that the machine may pull from."
}

variable "registry_login_server" {
  type        = string
  description = "Host name of that registry."
}

variable "operator_principal_id" {
  type        = string
  description = "Object id of the identity that runs Terraform; it may write the secret."
}

variable "tenant_id" {
  type        = string
  description = "Tenant of the Key Vault."
}

variable "redis_password_version" {
  type        = number
  description = "A higher number makes a new password."
}

variable "vault_from" {
  type        = set(string)
  default     = []
  description = "Networks, as CIDRs, that reach the Key Vault beside the machine; empty: everybody, and roles decide."
}

variable "tls" {
  type        = bool
  description = "True to install the proxy's files as well."
}

variable "compose_environment" {
  type        = map(string)
  description = "Variables for the compose file's `.env`, none of them secret."
}
