# A workspace of Azure ML for the pipelines in deploy/azure/ml.

data "azurerm_client_config" "current" {}

locals {
  tags = merge({ application = "whatsit", stack = "ml" }, var.tags)
  # Some names must be unlike any other in the world, and the same at each run.
  unique = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${var.name}/ml"), 0, 6)
}

resource "azurerm_resource_group" "whatsit" {
  name     = "${var.name}-ml"
  location = var.location
  tags     = local.tags
}

module "ml_workspace" {
  source                  = "../../modules/ml_workspace"
  name                    = var.name
  unique                  = local.unique
  location                = var.location
  resource_group_name     = azurerm_resource_group.whatsit.name
  tags                    = local.tags
  tenant_id               = data.azurerm_client_config.current.tenant_id
  clusters                = var.clusters
  idle_minutes            = var.idle_minutes
  submitter_principal_ids = var.submitter_principal_ids
}
