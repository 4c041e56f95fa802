# The identity of a service, and its rights: pull images, and read the secrets of its own vault.

resource "azurerm_user_assigned_identity" "whatsit" {
  name                = var.name
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

resource "azurerm_role_assignment" "pulls_images" {
  scope                = var.registry_id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.whatsit.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_key_vault" "whatsit" {
  name                       = var.vault_name
  location                   = var.location
  resource_group_name        = var.resource_group_name
  tenant_id                  = var.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 7
  tags                       = var.tags

  # The creator of the secret must reach the vault, so it is closed only where networks are named.
  dynamic "network_acls" {
    for_each = length(var.vault_from) == 0 ? [] : [var.vault_from]
    content {
      bypass                     = "None"
      default_action             = "Deny"
      ip_rules                   = network_acls.value
      virtual_network_subnet_ids = var.subnet_ids
    }
  }
}

resource "azurerm_role_assignment" "reads_secrets" {
  scope                = azurerm_key_vault.whatsit.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.whatsit.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "writes_secrets" {
  scope                = azurerm_key_vault.whatsit.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = var.operator_principal_id
}
