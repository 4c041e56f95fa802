mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  name                   = "whatsit"
  vault_name             = "whatsit-vm-abc123"
  location               = "westeurope"
  resource_group_name    = "whatsit-vm"
  tags                   = { application = "whatsit" }
  subnet_id              = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.Network/virtualNetworks/mock/subnets/mock"
  address_id             = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.Network/publicIPAddresses/mock"
  vm_size                = "Standard_B2als_v2"
  disk_gb                = 32
  ssh_public_key         = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
  registry_id            = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.ContainerRegistry/registries/example"
  registry_login_server  = "example.azurecr.io"
  operator_principal_id  = "00000000-0000-0000-0000-000000000003"
  tenant_id              = "00000000-0000-0000-0000-000000000000"
  redis_password_version = 1
  tls                    = false
  compose_environment    = { WHATSIT_API_KEYS = "required", WHATSIT_PUBLISH = "8501" }
}

run "the_machine_is_who_may_pull_and_read_its_secret" {
  command = apply

  assert {
    condition = (
      azurerm_linux_virtual_machine.whatsit.identity[0].type == "UserAssigned"
      && azurerm_linux_virtual_machine.whatsit.identity[0].identity_ids == toset([module.access.identity_id])
    )
    error_message = "The machine has another identity."
  }
}

run "the_password_is_in_the_vault_alone" {
  command = apply

  assert {
    condition     = azurerm_key_vault_secret.redis_password.value == null && azurerm_key_vault_secret.redis_password.value_wo == null
    error_message = "The password is in the state."
  }
  assert {
    condition     = azurerm_key_vault_secret.redis_password.value_wo_version == 1
    error_message = "The password would never be written."
  }
}

run "a_higher_version_makes_a_new_password" {
  command = apply
  variables {
    redis_password_version = 2
  }

  assert {
    condition     = azurerm_key_vault_secret.redis_password.value_wo_version == 2
    error_message = "The password stays the old one."
  }
}

run "user_data_brings_the_service_and_no_secret" {
  command = apply

  assert {
    condition     = base64decode(azurerm_linux_virtual_machine.whatsit.custom_data) == output.user_data
    error_message = "The machine gets another configuration than the output shows."
  }
  assert {
    condition     = startswith(output.user_data, "#cloud-config\n")
    error_message = "cloud-init would not read it."
  }
  assert {
    condition = toset([for file in yamldecode(output.user_data).write_files : file.path]) == toset(concat(
      [for file in ["compose.yaml", "compose.password.yaml", ".env", "identity.env"] : "/opt/whatsit/${file}"],
      [for script in ["deploy", "start", "fetch-secrets", "identity", "refuse-metadata"] : "/opt/whatsit/${script}.sh"],
      [for unit in ["whatsit", "whatsit-firewall"] : "/etc/systemd/system/${unit}.service"],
    ))
    error_message = "Other files are written than those that are known to hold no secret."
  }
  assert {
    condition = [
      for file in yamldecode(output.user_data).write_files : file.content if endswith(file.path, "/.env")
    ] == ["COMPOSE_FILE=compose.yaml:compose.password.yaml\nWHATSIT_API_KEYS=required\nWHATSIT_PUBLISH=8501\n"]
    error_message = "The compose file gets other values than the variables say."
  }
  assert {
    condition = [
      for file in yamldecode(output.user_data).write_files : file.content if endswith(file.path, "/identity.env")
      ] == [
      "CLIENT_ID=00000000-0000-0000-0000-0000000000c1\nVAULT_URL=https://whatsit-vm-abc123.vault.azure.net\nREGISTRY=example.azurecr.io\n"
    ]
    error_message = "The scripts would ask with another identity, or other services."
  }
  assert {
    condition     = contains(yamldecode(output.user_data).packages, "docker.io") && contains(yamldecode(output.user_data).packages, "docker-compose-v2")
    error_message = "Docker is not installed."
  }
  assert {
    condition = (
      contains(yamldecode(output.user_data).runcmd, ["systemctl", "enable", "--now", "whatsit-firewall.service"])
    )
    error_message = "Containers reach the metadata of the machine."
  }
  assert {
    condition     = azurerm_linux_virtual_machine.whatsit.user_data == null
    error_message = "user_data can be read by every process of the machine."
  }
}

run "the_machine_keeps_itself_up_to_date_and_lets_nobody_in_by_password" {
  command = apply

  assert {
    condition     = azurerm_linux_virtual_machine.whatsit.patch_mode == "AutomaticByPlatform" && azurerm_linux_virtual_machine.whatsit.reboot_setting == "IfRequired"
    error_message = "Updates are not installed."
  }
  assert {
    condition     = azurerm_linux_virtual_machine.whatsit.disable_password_authentication && azurerm_linux_virtual_machine.whatsit.admin_password == null
    error_message = "A password would do."
  }
  assert {
    condition     = azurerm_linux_virtual_machine.whatsit.secure_boot_enabled && azurerm_linux_virtual_machine.whatsit.vtpm_enabled
    error_message = "The boot chain is not checked."
  }
}
