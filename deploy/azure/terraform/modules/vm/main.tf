# A machine that runs the compose file. It holds no secret that it was given: what it needs to know
# it asks for by its identity, each time the service starts.
#
# Nothing is backed up. The system, the containers and the model come from here and from the
# registry, cached answers are computed again, keys are made again; what people corrected is the one
# thing worth keeping, and `whatsit feedback export` takes it out in a form that can be used.

module "access" {
  source                = "../access"
  name                  = "${var.name}-machine"
  vault_name            = var.vault_name
  location              = var.location
  resource_group_name   = var.resource_group_name
  tags                  = var.tags
  registry_id           = var.registry_id
  tenant_id             = var.tenant_id
  operator_principal_id = var.operator_principal_id
  vault_from            = var.vault_from
  subnet_ids            = [var.subnet_id]
}

# Generated in each run and forgotten at its end; Terraform sends it to the vault only when the
# version rises, and stores it neither in the plan nor in the state.
ephemeral "random_password" "redis" {
  length  = 48
  special = false
}

resource "azurerm_key_vault_secret" "redis_password" {
  name             = "redis-password"
  key_vault_id     = module.access.vault_id
  content_type     = "password of the Redis user whatsit"
  value_wo         = ephemeral.random_password.redis.result
  value_wo_version = var.redis_password_version
  tags             = var.tags
  depends_on       = [module.access]
}

resource "azurerm_network_interface" "whatsit" {
  name                = "${var.name}-interface"
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags

  ip_configuration {
    name                          = "public"
    subnet_id                     = var.subnet_id
    private_ip_address_allocation = "Dynamic"
    public_ip_address_id          = var.address_id
  }
}

resource "azurerm_linux_virtual_machine" "whatsit" {
  name                            = "${var.name}-vm"
  location                        = var.location
  resource_group_name             = var.resource_group_name
  size                            = var.vm_size
  admin_username                  = "azureuser"
  disable_password_authentication = true
  network_interface_ids           = [azurerm_network_interface.whatsit.id]
  custom_data                     = base64encode(local.user_data)
  tags                            = var.tags

  # Azure installs critical and security updates, Docker's among them, and restarts the machine
  # where one asks for it; the service comes back by itself.
  patch_mode            = "AutomaticByPlatform"
  patch_assessment_mode = "AutomaticByPlatform"
  reboot_setting        = "IfRequired"
  provision_vm_agent    = true

  secure_boot_enabled = true
  vtpm_enabled        = true

  admin_ssh_key {
    username   = "azureuser"
    public_key = var.ssh_public_key
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [module.access.identity_id]
  }

  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "StandardSSD_LRS"
    disk_size_gb         = var.disk_gb
  }

  source_image_reference {
    publisher = "Canonical"
    offer     = "ubuntu-24_04-lts"
    sku       = "server"
    version   = "latest"
  }

  # The serial console shows why a machine does not come up.
  boot_diagnostics {}

  lifecycle {
    # New user data would replace the machine and what people corrected on it; docs/run/deploy.md says
    # how to do that on purpose. The newest image of Ubuntu is for new machines.
    ignore_changes = [custom_data, source_image_reference[0].version]

    precondition {
      condition     = length(base64encode(local.user_data)) <= 87380
      error_message = "The user data is larger than the 64 KiB that Azure takes."
    }
  }

  depends_on = [module.access]
}
