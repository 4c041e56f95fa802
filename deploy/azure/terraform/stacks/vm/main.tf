# whatsit on one machine: app and Redis in containers, reached at an address and a port, or by TLS.

data "azurerm_client_config" "current" {}

data "azurerm_container_registry" "shared" {
  name                = var.registry_name
  resource_group_name = var.registry_resource_group
}

locals {
  tags = merge({ application = "whatsit", stack = "vm" }, var.tags)
  # Some names must be unlike any other in the world, and the same at each run.
  unique = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${var.name}/vm"), 0, 6)
}

resource "azurerm_resource_group" "whatsit" {
  name     = "${var.name}-vm"
  location = var.location
  tags     = local.tags
}

module "network" {
  source              = "../../modules/network"
  name                = var.name
  location            = var.location
  resource_group_name = azurerm_resource_group.whatsit.name
  tags                = local.tags
  tls                 = var.tls
  clients_from        = var.clients_from
  ssh_from            = var.ssh_from
  domain_label        = coalesce(var.domain_label, "${var.name}-${local.unique}")
  dns_zone            = var.dns_zone
}

module "vm" {
  source                 = "../../modules/vm"
  name                   = var.name
  vault_name             = "${var.name}-vm-${local.unique}"
  location               = var.location
  resource_group_name    = azurerm_resource_group.whatsit.name
  tags                   = local.tags
  subnet_id              = module.network.subnet_id
  address_id             = module.network.address_id
  vm_size                = var.vm_size
  disk_gb                = var.disk_gb
  ssh_public_key         = var.ssh_public_key
  registry_id            = data.azurerm_container_registry.shared.id
  registry_login_server  = data.azurerm_container_registry.shared.login_server
  operator_principal_id  = data.azurerm_client_config.current.object_id
  tenant_id              = data.azurerm_client_config.current.tenant_id
  redis_password_version = var.redis_password_version
  tls                    = var.tls
  vault_from             = var.vault_from

  compose_environment = merge(
    {
      REDIS_IMAGE           = var.redis_image
      WHATSIT_ALLOWED_HOSTS = var.tls ? module.network.host_name : "${module.network.host_name},${module.network.ip_address}"
      WHATSIT_API_KEYS      = var.api_keys
      WHATSIT_MEMORY        = var.memory
      WHATSIT_RATE_LIMIT    = var.rate_limit
    },
    # Behind the proxy the app's own port is not published.
    var.tls ? {
      COMPOSE_PROFILES      = "tls"
      WHATSIT_CADDY_OPTIONS = "email ${var.acme_email}"
      WHATSIT_DOMAIN        = module.network.host_name
    } : { WHATSIT_PUBLISH = "8501" },
  )
}
