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
    error_message = "Another identity may write secrets."
  }
  assert {
    condition     = azurerm_key_vault.whatsit.rbac_authorization_enabled && azurerm_key_vault.whatsit.purge_protection_enabled
    error_message = "The vault is open to policies, or can be lost."
  }
}

run "the_vault_is_open_to_whoever_has_a_role_unless_networks_are_named" {
  command = apply

  assert {
    condition     = length(azurerm_key_vault.whatsit.network_acls) == 0
    error_message = "No identity could write the first secret."
  }
}

run "a_vault_of_named_networks_is_closed_to_all_others" {
  command = apply
  variables {
    vault_from = ["198.51.100.7/32"]
    subnet_ids = ["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.Network/virtualNetworks/mock/subnets/mock"]
  }

  assert {
    condition = (
      azurerm_key_vault.whatsit.network_acls[0].default_action == "Deny"
      && azurerm_key_vault.whatsit.network_acls[0].bypass == "None"
      && azurerm_key_vault.whatsit.network_acls[0].ip_rules == toset(["198.51.100.7/32"])
      && azurerm_key_vault.whatsit.network_acls[0].virtual_network_subnet_ids == var.subnet_ids
    )
    error_message = "The vault is open, or the machine does not reach it."
  }
}
