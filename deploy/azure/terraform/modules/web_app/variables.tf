variable "name" {
  type        = string
  description = "Start of all names."
}

variable "app_name" {
  type        = string
  description = "Name of the Web App and of its vault, unlike any other in the world."
}

variable "storage_name" {
  type        = string
  description = "Name of the storage account, unlike any other in the world."
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

variable "plan_sku" {
  type        = string
  description = "Size of the App Service plan."
}

variable "instances" {
  type        = number
  description = "Machines of the plan."
}

variable "image" {
  type        = string
  description = "Name and digest of the first image, without the registry."
}

variable "registry_id" {
  type        = string
  description = "Registry that the app may pull from."
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

variable "shared_cache" {
  type        = bool
  description = "True for a managed Redis; otherwise each instance has an embedded cache."
}

variable "redis_sku" {
  type        = string
  description = "Size of the managed Redis."
}

variable "redis_key_version" {
  type        = number
  description = "A higher number hands on the key that the managed Redis has now."
}

variable "settings" {
  type        = map(string)
  description = "Settings of whatsit, none of them secret."
}
