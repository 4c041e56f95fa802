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

variable "clusters" {
  type = map(object({
    vm_size   = string
    max_nodes = optional(number, 1)
    priority  = optional(string, "Dedicated")
  }))
  default     = { "whatsit-cpu" = { vm_size = "Standard_D4as_v4" } }
  description = "Compute clusters by name: size, most machines, and Dedicated or LowPriority (cheap, may be taken away). All scale to zero."
  validation {
    condition     = alltrue([for name in keys(var.clusters) : can(regex("^[a-z][a-z0-9-]{1,14}[a-z0-9]$", name))])
    error_message = "A cluster's name has 3 to 16 lower-case letters, digits and hyphens, and begins with a letter."
  }
  validation {
    condition     = alltrue([for cluster in values(var.clusters) : cluster.max_nodes >= 1 && cluster.max_nodes <= 8 && contains(["Dedicated", "LowPriority"], cluster.priority)])
    error_message = "A cluster has 1 to 8 machines, Dedicated or LowPriority."
  }
}

variable "idle_minutes" {
  type        = number
  default     = 5
  description = "How long a machine waits for the next job before it goes, minutes."
  validation {
    condition     = var.idle_minutes >= 2 && var.idle_minutes <= 60 && floor(var.idle_minutes) == var.idle_minutes
    error_message = "A machine waits 2 to 60 minutes."
  }
}

variable "submitter_principal_ids" {
  type        = map(string)
  default     = {}
  description = "Object ids of those who submit jobs, by a name of yours; such as the deployer of the stack foundation."
}
