mock_provider "azurerm" {
  source = "../../mocks"
  mock_resource "azurerm_managed_redis" {
    defaults = {
      hostname         = "whatsit-app-abc123-cache.westeurope.redis.azure.net"
      default_database = { primary_access_key = "AKeyThatNobodyMaySee=", port = 10000 }
    }
  }
}

variables {
  name                  = "whatsit"
  app_name              = "whatsit-app-abc123"
  storage_name          = "whatsitkeysabc123"
  location              = "westeurope"
  resource_group_name   = "whatsit-webapp"
  tags                  = { application = "whatsit" }
  plan_sku              = "B2"
  instances             = 1
  image                 = "whatsit@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  registry_id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/mock/providers/Microsoft.ContainerRegistry/registries/example"
  registry_login_server = "example.azurecr.io"
  operator_principal_id = "00000000-0000-0000-0000-000000000003"
  tenant_id             = "00000000-0000-0000-0000-000000000000"
  shared_cache          = true
  redis_sku             = "Balanced_B0"
  redis_key_version     = 1
  settings              = { WHATSIT_API_KEYS = "required" }
}

run "the_app_is_set_up_for_the_page" {
  command = apply

  assert {
    condition = (
      azurerm_linux_web_app.whatsit.https_only && azurerm_linux_web_app.whatsit.client_affinity_enabled
      && azurerm_linux_web_app.whatsit.site_config[0].websockets_enabled
      && azurerm_linux_web_app.whatsit.site_config[0].always_on
      && azurerm_linux_web_app.whatsit.site_config[0].health_check_path == "/readyz"
      && azurerm_linux_web_app.whatsit.app_settings.WEBSITES_PORT == "8501"
    )
    error_message = "Visitors would lose their page."
  }
  assert {
    condition     = azurerm_linux_web_app.whatsit.site_config[0].ftps_state == "Disabled" && !azurerm_linux_web_app.whatsit.ftp_publish_basic_authentication_enabled && !azurerm_linux_web_app.whatsit.webdeploy_publish_basic_authentication_enabled
    error_message = "There is a second way in."
  }
}

run "the_image_is_pulled_by_identity" {
  command = apply

  assert {
    condition = (
      azurerm_linux_web_app.whatsit.site_config[0].container_registry_use_managed_identity
      && azurerm_linux_web_app.whatsit.site_config[0].container_registry_managed_identity_client_id == module.access.client_id
      && azurerm_linux_web_app.whatsit.site_config[0].application_stack[0].docker_registry_url == "https://example.azurecr.io"
      && azurerm_linux_web_app.whatsit.site_config[0].application_stack[0].docker_image_name == var.image
    )
    error_message = "The image can't be pulled without a password."
  }
}

run "settings_hold_a_reference_and_no_secret" {
  command = apply

  assert {
    condition     = azurerm_linux_web_app.whatsit.app_settings.WHATSIT_REDIS_URL == "@Microsoft.KeyVault(SecretUri=https://mock.vault.azure.net/secrets/mock)"
    error_message = "The setting is not a reference."
  }
  assert {
    condition     = !strcontains(jsonencode(azurerm_linux_web_app.whatsit.app_settings), "AKeyThat")
    error_message = "A setting holds a secret."
  }
  assert {
    condition     = azurerm_key_vault_secret.redis_url[0].value == null && azurerm_key_vault_secret.redis_url[0].value_wo_version == 1
    error_message = "The secret is written in another way."
  }
  assert {
    condition = (
      azurerm_linux_web_app.whatsit.key_vault_reference_identity_id == module.access.identity_id
    )
    error_message = "The reference can't be followed."
  }
}

run "keys_are_asked_for_and_come_from_the_share" {
  command = apply

  assert {
    condition = (
      azurerm_linux_web_app.whatsit.app_settings.WHATSIT_API_KEYS == "required"
      && [for mount in azurerm_linux_web_app.whatsit.storage_account : mount.mount_path] == [azurerm_linux_web_app.whatsit.app_settings.WHATSIT_KEYS_FOLDER]
    )
    error_message = "The API is open, or knows no keys."
  }
}

run "redis_is_one_plain_server_over_tls" {
  command = apply

  assert {
    condition = (
      azurerm_managed_redis.cache[0].default_database[0].clustering_policy == "NoCluster"
      && azurerm_managed_redis.cache[0].default_database[0].client_protocol == "Encrypted"
      && azurerm_managed_redis.cache[0].default_database[0].eviction_policy == "AllKeysLRU"
    )
    error_message = "whatsit could not use it, or it would fill up."
  }
}

run "without_a_shared_cache_there_is_no_redis" {
  command = apply
  variables {
    shared_cache = false
  }

  assert {
    condition     = length(azurerm_managed_redis.cache) == 0 && !contains(keys(azurerm_linux_web_app.whatsit.app_settings), "WHATSIT_REDIS_URL") && output.redis_host == null
    error_message = "There is a Redis that was not asked for."
  }
}
