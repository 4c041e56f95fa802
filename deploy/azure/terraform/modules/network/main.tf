# One subnet, one address that everybody can reach, and as few open ports as the variant needs.

locals {
  free_name = "${var.domain_label}.${var.location}.cloudapp.azure.com"
  host_name = var.dns_zone == null ? local.free_name : "${var.dns_zone.record}.${var.dns_zone.name}"

  service_rules = [
    for port in var.tls ? ["80", "443"] : ["8501"] :
    { name = "service-${port}", port = port, sources = var.clients_from }
  ]
  ssh_rules = var.ssh_from == null ? [] : [{ name = "ssh", port = "22", sources = [var.ssh_from] }]
}

resource "azurerm_virtual_network" "whatsit" {
  name                = "${var.name}-network"
  location            = var.location
  resource_group_name = var.resource_group_name
  address_space       = ["10.20.0.0/24"]
  tags                = var.tags
}

resource "azurerm_subnet" "whatsit" {
  name                 = "${var.name}-machines"
  resource_group_name  = var.resource_group_name
  virtual_network_name = azurerm_virtual_network.whatsit.name
  address_prefixes     = ["10.20.0.0/26"]
  # The machine goes out by its own address.
  default_outbound_access_enabled = false

  # By which a vault that is closed to others knows it.
  service_endpoint {
    service = "Microsoft.KeyVault"
  }
}

# Azure's own last rule refuses everything that no rule names.
resource "azurerm_network_security_group" "whatsit" {
  name                = "${var.name}-ports"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags

  dynamic "security_rule" {
    for_each = { for index, rule in concat(local.service_rules, local.ssh_rules) : index => rule }
    content {
      name                       = security_rule.value.name
      priority                   = 100 + 10 * security_rule.key
      direction                  = "Inbound"
      access                     = "Allow"
      protocol                   = "Tcp"
      source_port_range          = "*"
      source_address_prefixes    = security_rule.value.sources
      destination_port_range     = security_rule.value.port
      destination_address_prefix = "*"
    }
  }
}

resource "azurerm_subnet_network_security_group_association" "whatsit" {
  subnet_id                 = azurerm_subnet.whatsit.id
  network_security_group_id = azurerm_network_security_group.whatsit.id
}

resource "azurerm_public_ip" "whatsit" {
  name                = "${var.name}-address"
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = "Standard"
  allocation_method   = "Static"
  domain_name_label   = var.domain_label
  tags                = var.tags
}

resource "azurerm_dns_a_record" "whatsit" {
  count               = var.dns_zone == null ? 0 : 1
  name                = var.dns_zone.record
  zone_name           = var.dns_zone.name
  resource_group_name = var.dns_zone.resource_group_name
  ttl                 = 300
  target_resource_id  = azurerm_public_ip.whatsit.id
  tags                = var.tags
}
