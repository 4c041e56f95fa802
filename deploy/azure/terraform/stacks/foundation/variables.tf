variable "name" {
  type        = string
  default     = "whatsit"
  description = "Start of all names: 3 to 12 lower-case letters, digits and hyphens."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,10}[a-z0-9]$", var.name))
    error_message = "A name has 3 to 12 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "location" {
  type        = string
  default     = "westeurope"
  description = "Azure region, in its short form such as westeurope (`az account list-locations`)."
  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "Write the region in its short form, such as westeurope."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Further tags of all resources."
}

variable "registry_name" {
  type        = string
  default     = null
  description = "Name of the container registry, 5 to 50 letters and digits. Null: made from the name and the subscription."
  validation {
    condition     = var.registry_name == null ? true : can(regex("^[a-zA-Z0-9]{5,50}$", var.registry_name))
    error_message = "A registry's name has 5 to 50 letters and digits."
  }
}

variable "state_storage_account_id" {
  type        = string
  description = "Id of the storage account that the states are in, which the workflows read and write."
  validation {
    condition     = can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Storage/storageAccounts/[a-z0-9]{3,24}$", var.state_storage_account_id))
    error_message = "Give the whole id: `az storage account show --query id`."
  }
}

variable "github_subjects" {
  type        = map(string)
  default     = {}
  description = "Subjects at GitHub that may sign in as the deployer: maps a name of yours to the subject of GitHub's token, such as repo:OWNER@OWNER-ID/REPO@REPO-ID:environment:production."
  validation {
    condition     = alltrue([for subject in values(var.github_subjects) : can(regex("^repo:[^/*]+/[^/*:]+:[^*]+$", subject))])
    error_message = "A subject is repo:OWNER/REPOSITORY:..., or with ids repo:OWNER@ID/REPOSITORY@ID:..., without wildcards."
  }
}
