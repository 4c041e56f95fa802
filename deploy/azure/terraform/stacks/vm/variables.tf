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

variable "tls" {
  type        = bool
  default     = false
  description = "Serve on 80 and 443 with a certificate that renews itself, instead of on 8501 without one."
}

variable "acme_email" {
  type        = string
  default     = ""
  description = "Where the certificate authority writes to when something is wrong; needed with tls."
  validation {
    condition     = var.tls ? can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.acme_email)) : true
    error_message = "With tls, say an address: acme_email = \"you@example.org\"."
  }
}

variable "clients_from" {
  type        = set(string)
  default     = ["0.0.0.0/0"]
  description = "Networks that reach the service, as CIDRs; everybody by default, which needs tls."
  validation {
    condition     = length(var.clients_from) > 0 && alltrue([for cidr in var.clients_from : can(cidrnetmask(cidr))])
    error_message = "Write networks as IPv4 CIDRs, such as 198.51.100.0/24."
  }
  validation {
    # Everybody can be written as several halves and quarters too.
    condition     = var.tls || alltrue([for cidr in var.clients_from : tonumber(try(split("/", cidr)[1], 32)) >= 8])
    error_message = "Without tls, keys and pictures cross the networks in clear. Set tls = true and acme_email, or name in clients_from the networks (of /8 or narrower) that may reach the service."
  }
}

variable "ssh_from" {
  type        = string
  default     = null
  description = "The one network that reaches SSH, as a CIDR. Null, as recommended: none, and `az vm run-command` does everything."
  validation {
    condition     = var.ssh_from == null ? true : can(cidrnetmask(var.ssh_from)) && tonumber(try(split("/", var.ssh_from)[1], 0)) >= 16
    error_message = "SSH is opened to one IPv4 network of /16 or narrower, such as 198.51.100.7/32."
  }
}

variable "vault_from" {
  type        = set(string)
  default     = []
  description = "Networks, as CIDRs, from which Terraform reaches the Key Vault; apart from the machine, all others are blocked then. Empty, where those are not known: all networks, and roles decide."
  validation {
    condition     = alltrue([for cidr in var.vault_from : can(cidrnetmask(cidr))])
    error_message = "Write networks as IPv4 CIDRs, such as 198.51.100.7/32."
  }
}

variable "ssh_public_key" {
  type        = string
  description = "Public key of the administrator. Azure makes no Linux machine without one; it is of no use while ssh_from is null."
  validation {
    condition     = can(regex("^ssh-(rsa|ed25519) [A-Za-z0-9+/=]{60,}", var.ssh_public_key))
    error_message = "Give the line of a .pub file that begins with ssh-ed25519 or ssh-rsa."
  }
}

variable "domain_label" {
  type        = string
  default     = null
  description = "First part of the free name LABEL.REGION.cloudapp.azure.com. Null: made from the name and the subscription."
  validation {
    condition     = var.domain_label == null ? true : can(regex("^[a-z][a-z0-9-]{1,61}[a-z0-9]$", var.domain_label))
    error_message = "A label has 3 to 63 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "dns_zone" {
  type = object({
    name                = string
    resource_group_name = string
    record              = string
  })
  default     = null
  description = "A zone of Azure DNS, to be reached as RECORD.NAME instead of under the free name."
}

variable "vm_size" {
  type        = string
  default     = "Standard_B2als_v2"
  description = "Size of the machine: two processors and 4 GB answer some dozens of pictures a second."
  validation {
    condition     = can(regex("^Standard_[A-Z]+[0-9]+[a-z0-9-]*(_v[0-9]+)?$", var.vm_size)) && !can(regex("^Standard_[A-Z]+[0-9]+[a-z]*p", var.vm_size))
    error_message = "Give a size such as Standard_B2als_v2, not one with Arm processors (a p after the number)."
  }
}

variable "disk_gb" {
  type        = number
  default     = 32
  description = "Size of the disk, GB."
  validation {
    condition     = var.disk_gb >= 30 && var.disk_gb <= 1024
    error_message = "The disk has 30 to 1024 GB; Ubuntu's image needs 30."
  }
}

variable "memory" {
  type        = string
  default     = "2g"
  description = "Memory that the app may take, in Docker's form. Redis takes up to half a gigabyte beside it."
  validation {
    condition     = can(regex("^[1-9][0-9]*[mg]$", var.memory))
    error_message = "Write memory such as 1500m or 2g."
  }
}

variable "api_keys" {
  type        = string
  default     = "required"
  description = "Keys for the API: required, or off where clients_from admits only trusted clients."
  validation {
    condition     = contains(["required", "off"], var.api_keys) && (var.api_keys == "required" || alltrue([for cidr in var.clients_from : tonumber(try(split("/", cidr)[1], 32)) >= 8]))
    error_message = "api_keys is required, or off; it can't be off while everybody reaches the service."
  }
}

variable "rate_limit" {
  type        = string
  default     = "120/minute"
  description = "Requests that one key or address may send (WHATSIT_RATE_LIMIT), or off."
  validation {
    condition     = can(regex("^(off|[1-9][0-9]*/(second|minute|hour|day))$", var.rate_limit))
    error_message = "Write a rate such as 120/minute, or off."
  }
}

variable "redis_image" {
  type        = string
  default     = "redis:8-trixie@sha256:8a1efc5f479551822b47424ccae982026b633f28818eab0387348120a61e10e2"
  description = "Image of Redis; one of your own registry where Docker Hub must not be asked."
}

variable "redis_password_version" {
  type        = number
  default     = 1
  description = "Raise it by one to have a new Redis password made."
  validation {
    condition     = var.redis_password_version >= 1 && floor(var.redis_password_version) == var.redis_password_version
    error_message = "The version is a whole number from 1 on."
  }
}
