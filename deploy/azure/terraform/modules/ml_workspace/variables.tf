variable "name" {
  type        = string
  description = "Start of all names."
}

variable "unique" {
  type        = string
  description = "End of names that must be unlike any other in the world."
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

variable "tenant_id" {
  type        = string
  description = "Tenant of the Key Vault."
}

variable "clusters" {
  type = map(object({
    vm_size   = string
    max_nodes = number
    priority  = string
  }))
  description = "Compute clusters by name; each scales to zero."
}

variable "idle_minutes" {
  type        = number
  description = "How long a machine waits for the next job before it goes."
}

variable "submitter_principal_ids" {
  type        = map(string)
  description = "Object ids of those who submit jobs, by a name of yours."
}
