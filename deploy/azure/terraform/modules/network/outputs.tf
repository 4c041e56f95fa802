output "subnet_id" {
  description = "Where machines go."
  value       = azurerm_subnet.whatsit.id
}

output "address_id" {
  description = "The public address, to give to a machine."
  value       = azurerm_public_ip.whatsit.id
}

output "ip_address" {
  description = "The public address itself."
  value       = azurerm_public_ip.whatsit.ip_address
}

output "host_name" {
  description = "The name that people use."
  value       = local.host_name
}

output "open_ports" {
  description = "Port to the networks that reach it; every other port is closed."
  value = {
    for rule in azurerm_network_security_group.whatsit.security_rule :
    rule.destination_port_range => rule.source_address_prefixes
  }
}
