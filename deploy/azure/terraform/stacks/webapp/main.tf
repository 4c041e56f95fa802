# whatsit as a Web App: Azure keeps the machine, the certificate and the address.

data "azurerm_client_config" "current" {}

data "azurerm_container_registry" "shared" {
  name                = var.registry_name
  resource_group_name = var.registry_resource_group
}

locals {
  tags = merge({ application = "whatsit", stack = "webapp" }, var.tags)
  # Some names must be unlike any other in the world, and the same at each run.
  unique = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${var.name}/webapp"), 0, 6)
}

resource "azurerm_resource_group" "whatsit" {
  name     = "${var.name}-webapp"
  location = var.location
  tags     = local.tags
}

module "web_app" {
  source                = "../../modules/web_app"
  name                  = var.name
  app_name              = "${var.name}-app-${local.unique}"
  storage_name          = "${replace(var.name, "-", "")}keys${local.unique}"
  location              = var.location
  resource_group_name   = azurerm_resource_group.whatsit.name
  tags                  = local.tags
  plan_sku              = var.plan_sku
  instances             = var.instances
  image                 = "whatsit@${var.image_digest}"
  registry_id           = data.azurerm_container_registry.shared.id
  registry_login_server = data.azurerm_container_registry.shared.login_server
  operator_principal_id = data.azurerm_client_config.current.object_id
  tenant_id             = data.azurerm_client_config.current.tenant_id
  shared_cache          = var.shared_cache
  redis_sku             = var.redis_sku
  redis_key_version     = var.redis_key_version
  settings              = merge(var.settings, { WHATSIT_API_KEYS = "required" })
}
