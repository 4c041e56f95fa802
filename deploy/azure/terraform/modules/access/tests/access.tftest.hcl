mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  name                  = "whatsit-machine"
  vault_name            = "whatsit-vm-abc123"
  location              = "westeurope"
  resource_group_name   = "whatsit-vm"
  tags                  = { application = "whatsit" }
  registry_id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.ContainerRegistry/registries/example"
  tenant_id             = "00000000-0000-0000-0000-000000000000"
  operator_principal_id = "00000000-0000-0000-0000-000000000003"
}

run "the_identity_may_pull_and_read_secrets_and_nothing_else" {
  command = apply

  assert {
    condition = (
      azurerm_role_assignment.pulls_images.role_definition_name == "AcrPull"
      && azurerm_role_assignment.pulls_images.scope == "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.ContainerRegistry/registries/example"
      && azurerm_role_assignment.pulls_images.principal_id == azurerm_user_assigned_identity.whatsit.principal_id
    )
    error_message = "The service can't pull images."
  }
  assert {
    condition = (
      azurerm_role_assignment.reads_secrets.role_definition_name == "Key Vault Secrets User"
      && azurerm_role_assignment.reads_secrets.scope == azurerm_key_vault.whatsit.id
      && azurerm_role_assignment.reads_secrets.principal_id == azurerm_user_assigned_identity.whatsit.principal_id
    )
    error_message = "The service can't read its secret."
  }
  assert {
    condition     = azurerm_role_assignment.writes_secrets.principal_id == "00000000-0000-0000-0000-000000000003"
    error_message = "Somebody else may write secrets."
  }
  assert {
    condition     = azurerm_key_vault.whatsit.rbac_authorization_enabled && azurerm_key_vault.whatsit.purge_protection_enabled
    error_message = "The vault is open to policies, or can be lost."
  }
}
