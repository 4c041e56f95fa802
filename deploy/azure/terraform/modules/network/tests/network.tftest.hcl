mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  name                = "whatsit"
  location            = "westeurope"
  resource_group_name = "whatsit-vm"
  tags                = { application = "whatsit" }
  tls                 = false
  clients_from        = ["0.0.0.0/0"]
  ssh_from            = null
  domain_label        = "whatsit-test"
  dns_zone            = null
}

run "plain_opens_8501_alone" {
  command = plan

  assert {
    condition     = toset(keys(output.open_ports)) == toset(["8501"])
    error_message = "Open: ${jsonencode(output.open_ports)}"
  }
  assert {
    condition = alltrue([
      for rule in azurerm_network_security_group.whatsit.security_rule :
      rule.direction == "Inbound" && rule.access == "Allow" && rule.protocol == "Tcp"
      && rule.source_address_prefixes == toset(["0.0.0.0/0"]) && rule.source_address_prefix == null
      && rule.destination_port_ranges == null
    ])
    error_message = "A rule opens more than its port."
  }
  assert {
    condition     = output.host_name == "whatsit-test.westeurope.cloudapp.azure.com"
    error_message = "The free name is ${output.host_name}."
  }
}

run "tls_opens_80_and_443_and_not_8501" {
  command = plan
  variables {
    tls          = true
    clients_from = ["198.51.100.0/24", "203.0.113.0/24"]
  }

  assert {
    condition     = toset(keys(output.open_ports)) == toset(["80", "443"])
    error_message = "Open: ${jsonencode(output.open_ports)}"
  }
  assert {
    condition     = output.open_ports["443"] == toset(["198.51.100.0/24", "203.0.113.0/24"])
    error_message = "443 is open to ${jsonencode(output.open_ports["443"])}."
  }
}

run "ssh_is_open_to_one_network_where_asked_for" {
  command = plan
  variables {
    ssh_from = "198.51.100.7/32"
  }

  assert {
    condition     = output.open_ports["22"] == toset(["198.51.100.7/32"])
    error_message = "22 is open to ${jsonencode(output.open_ports["22"])}."
  }
  assert {
    condition     = length({ for rule in azurerm_network_security_group.whatsit.security_rule : rule.priority => rule.name }) == 2
    error_message = "Two rules have one priority."
  }
}

run "the_address_stays_and_machines_have_no_other_way_out" {
  command = plan

  assert {
    condition     = azurerm_public_ip.whatsit.sku == "Standard" && azurerm_public_ip.whatsit.allocation_method == "Static"
    error_message = "The address may change."
  }
  assert {
    condition     = !azurerm_subnet.whatsit.default_outbound_access_enabled
    error_message = "Machines use an unknown address for outgoing connections."
  }
}

run "a_zone_of_azure_dns_gives_the_name" {
  command = apply
  variables {
    dns_zone = { name = "example.org", resource_group_name = "dns", record = "whatsit" }
  }

  assert {
    condition     = output.host_name == "whatsit.example.org"
    error_message = "The name is ${output.host_name}."
  }
  assert {
    condition     = azurerm_dns_a_record.whatsit[0].target_resource_id == output.address_id
    error_message = "The record does not follow the address."
  }
}

run "the_rules_hold_for_the_subnet" {
  command = apply

  assert {
    condition = (
      azurerm_subnet_network_security_group_association.whatsit.subnet_id == output.subnet_id
      && azurerm_subnet_network_security_group_association.whatsit.network_security_group_id == azurerm_network_security_group.whatsit.id
    )
    error_message = "The subnet is without its rules."
  }
}

run "a_closed_vault_knows_the_subnet" {
  command = apply

  assert {
    condition     = [for one in azurerm_subnet.whatsit.service_endpoint : one.service] == ["Microsoft.KeyVault"]
    error_message = "The machine could not read its secret from a vault that is closed to others."
  }
}
