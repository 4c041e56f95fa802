terraform {
  required_version = ">= 1.11"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.10"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }
  # Where the state lies is said at init: -backend-config="resource_group_name=..." and so on.
  backend "azurerm" {
    key              = "vm.tfstate"
    use_azuread_auth = true
  }
}

# The subscription comes from ARM_SUBSCRIPTION_ID; providers are registered once, see docs/run/deploy.md.
provider "azurerm" {
  resource_provider_registrations = "none"
  storage_use_azuread             = true
  features {
    key_vault {
      # A vault is kept for a week after it was deleted, and taken up again by the next one.
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
    }
  }
}
