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
  description = "Container registry that the image is in; output of the stack foundation."
  validation {
    condition     = can(regex("^[a-zA-Z0-9]{5,50}$", var.registry_name))
    error_message = "A registry's name has 5 to 50 letters and digits, without .azurecr.io."
  }
}

variable "registry_resource_group" {
  type        = string
  default     = "whatsit-shared"
  description = "Resource group of that registry."
}

variable "image_digest" {
  type        = string
  description = "Digest of the first image, which has to be in the registry as `whatsit`. Later ones are brought by roll-outs."
  validation {
    condition     = can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "Name the image by its digest: sha256 and 64 hexadecimal digits."
  }
}

variable "plan_sku" {
  type        = string
  default     = "B2"
  description = "Size of the App Service plan. Two processors and 3.5 GB are a good start; free and shared plans sleep."
  validation {
    condition     = can(regex("^(B[123]|S[123]|P[0-9]m?v[2-9])$", var.plan_sku))
    error_message = "Give a plan that stays awake: B1 to B3, S1 to S3, or P0v3 and so on."
  }
}

variable "instances" {
  type        = number
  default     = 1
  description = "Machines of the plan; several need the shared cache to count requests together."
  validation {
    condition     = var.instances >= 1 && var.instances <= 10 && floor(var.instances) == var.instances
    error_message = "There are 1 to 10 instances."
  }
}

variable "shared_cache" {
  type        = bool
  default     = true
  description = "A managed Redis for all instances; false: each has an embedded cache, gone when it restarts."
  validation {
    condition     = var.shared_cache || var.instances == 1
    error_message = "Several instances need the shared cache."
  }
}

variable "redis_sku" {
  type        = string
  default     = "Balanced_B0"
  description = "Size of the managed Redis; the smallest holds some 100,000 answers."
  validation {
    condition     = can(regex("^(Balanced_B|MemoryOptimized_M|ComputeOptimized_X)[0-9]+$", var.redis_sku))
    error_message = "Give a size of Azure Managed Redis, such as Balanced_B0."
  }
}

variable "redis_key_version" {
  type        = number
  default     = 1
  description = "Raise it by one after the key of the managed Redis was renewed."
  validation {
    condition     = var.redis_key_version >= 1 && floor(var.redis_key_version) == var.redis_key_version
    error_message = "The version is a whole number from 1 on."
  }
}

variable "settings" {
  type        = map(string)
  default     = {}
  description = "Further settings of whatsit, such as WHATSIT_RATE_LIMIT or WHATSIT_ALLOWED_HOSTS; secrets as references to a Key Vault."
  validation {
    condition     = alltrue([for name in keys(var.settings) : startswith(name, "WHATSIT_") && name != "WHATSIT_API_KEYS"])
    error_message = "Settings begin with WHATSIT_, and WHATSIT_API_KEYS stays required where everybody reaches the app."
  }
  validation {
    condition     = alltrue([for value in values(var.settings) : !can(regex("://[^/@]*:[^/@]+@", value))])
    error_message = "An address with a password is a secret: put it into a Key Vault and write @Microsoft.KeyVault(SecretUri=...)."
  }
}
