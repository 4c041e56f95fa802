variable "name" {
  type        = string
  description = "Start of all names."
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

variable "tls" {
  type        = bool
  description = "True if a proxy with TLS is in front: 80 and 443 are open then, and 8501 is not."
}

variable "clients_from" {
  type        = set(string)
  description = "Networks, as CIDRs, that reach the service."
}

variable "ssh_from" {
  type        = string
  description = "The one network, as a CIDR, that reaches SSH; null for none."
}

variable "domain_label" {
  type        = string
  description = "First part of the free name LABEL.REGION.cloudapp.azure.com."
}

variable "dns_zone" {
  type = object({
    name                = string
    resource_group_name = string
    record              = string
  })
  description = "Zone of Azure DNS that the name RECORD.NAME is made in; null for the free name."
}
