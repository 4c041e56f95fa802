# Where the pipeline runs on Azure ML, with what a workspace stands on. Nothing in it costs by the
# hour while no job runs, the registry aside.

resource "azurerm_log_analytics_workspace" "ml" {
  name                = "${var.name}-ml-logs"
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = "PerGB2018"
  retention_in_days   = 30
  daily_quota_gb      = 1
  tags                = var.tags
}

resource "azurerm_application_insights" "ml" {
  name                = "${var.name}-ml-insights"
  location            = var.location
  resource_group_name = var.resource_group_name
  application_type    = "web"
  workspace_id        = azurerm_log_analytics_workspace.ml.id
  tags                = var.tags
}

resource "azurerm_key_vault" "ml" {
  name                       = "${var.name}-ml-${var.unique}"
  location                   = var.location
  resource_group_name        = var.resource_group_name
  tenant_id                  = var.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 7
  tags                       = var.tags
}

resource "azurerm_storage_account" "ml" {
  name                            = "${replace(var.name, "-", "")}ml${var.unique}"
  location                        = var.location
  resource_group_name             = var.resource_group_name
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  tags                            = var.tags

  blob_properties {
    delete_retention_policy {
      days = 7
    }
  }
}

# Environments are built into this one, apart from what is deployed.
resource "azurerm_container_registry" "ml" {
  name                = "${replace(var.name, "-", "")}ml${var.unique}"
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = "Basic"
  admin_enabled       = false
  tags                = var.tags
}

resource "azurerm_machine_learning_workspace" "ml" {
  name                    = "${var.name}-ml"
  location                = var.location
  resource_group_name     = var.resource_group_name
  description             = "Pipelines that make models for whatsit"
  application_insights_id = azurerm_application_insights.ml.id
  key_vault_id            = azurerm_key_vault.ml.id
  storage_account_id      = azurerm_storage_account.ml.id
  container_registry_id   = azurerm_container_registry.ml.id
  # Roles decide who may use it; people reach the studio from anywhere.
  public_network_access_enabled = true
  tags                          = var.tags

  # Azure gives this identity what it needs on the four resources above.
  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_user_assigned_identity" "jobs" {
  name                = "${var.name}-jobs"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

# Jobs read and write data, pull their environment, and register models.
resource "azurerm_role_assignment" "jobs" {
  for_each = {
    "Storage Blob Data Contributor" = azurerm_storage_account.ml.id
    "AcrPull"                       = azurerm_container_registry.ml.id
    "AzureML Data Scientist"        = azurerm_machine_learning_workspace.ml.id
  }
  scope                = each.value
  role_definition_name = each.key
  principal_id         = azurerm_user_assigned_identity.jobs.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "submitters" {
  for_each             = var.submitter_principal_ids
  scope                = azurerm_machine_learning_workspace.ml.id
  role_definition_name = "AzureML Data Scientist"
  principal_id         = each.value
}

resource "azurerm_machine_learning_compute_cluster" "ml" {
  for_each                      = var.clusters
  name                          = each.key
  location                      = var.location
  machine_learning_workspace_id = azurerm_machine_learning_workspace.ml.id
  description                   = "Scales to zero after ${var.idle_minutes} minutes without a job"
  vm_size                       = each.value.vm_size
  vm_priority                   = each.value.priority
  local_auth_enabled            = false
  ssh_public_access_enabled     = false
  tags                          = var.tags

  scale_settings {
    min_node_count                       = 0
    max_node_count                       = each.value.max_nodes
    scale_down_nodes_after_idle_duration = "PT${var.idle_minutes}M"
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.jobs.id]
  }
}
