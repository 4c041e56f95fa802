# The same image as a Web App for Containers.
#
# Redis is Azure's managed one, not a sidecar: a sidecar would be a cache of each instance alone,
# gone at each roll-out and in the memory of the plan, which is what the embedded cache is already,
# without a second container. Where that is enough, shared_cache = false saves the Redis.

module "access" {
  source                = "../access"
  name                  = "${var.name}-app"
  vault_name            = var.app_name
  location              = var.location
  resource_group_name   = var.resource_group_name
  tags                  = var.tags
  registry_id           = var.registry_id
  tenant_id             = var.tenant_id
  operator_principal_id = var.operator_principal_id
}

resource "azurerm_managed_redis" "cache" {
  count                     = var.shared_cache ? 1 : 0
  name                      = "${var.app_name}-cache"
  location                  = var.location
  resource_group_name       = var.resource_group_name
  sku_name                  = var.redis_sku
  high_availability_enabled = false
  tags                      = var.tags

  default_database {
    # whatsit signs in by password, over TLS, as a plain client of one server.
    access_keys_authentication_enabled = true
    client_protocol                    = "Encrypted"
    clustering_policy                  = "NoCluster"
    eviction_policy                    = "AllKeysLRU"
  }
}

# Azure makes this key and Terraform's state knows it, as it knows the share's; the app's settings,
# which more people may read, hold a reference only.
resource "azurerm_key_vault_secret" "redis_url" {
  count        = var.shared_cache ? 1 : 0
  name         = "redis-url"
  key_vault_id = module.access.vault_id
  content_type = "address of the managed Redis, with its key"
  value_wo = format("rediss://:%s@%s:%d/0",
    urlencode(azurerm_managed_redis.cache[0].default_database[0].primary_access_key),
    azurerm_managed_redis.cache[0].hostname,
    azurerm_managed_redis.cache[0].default_database[0].port,
  )
  value_wo_version = var.redis_key_version
  tags             = var.tags
  depends_on       = [module.access]
}

# The API keys' digests: written by an operator, read by all instances.
resource "azurerm_storage_account" "keys" {
  name                            = var.storage_name
  location                        = var.location
  resource_group_name             = var.resource_group_name
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  tags                            = var.tags
}

resource "azurerm_storage_share" "keys" {
  name               = "keys"
  storage_account_id = azurerm_storage_account.keys.id
  quota              = 1
}

resource "azurerm_service_plan" "whatsit" {
  name                = "${var.name}-plan"
  location            = var.location
  resource_group_name = var.resource_group_name
  os_type             = "Linux"
  sku_name            = var.plan_sku
  worker_count        = var.instances
  tags                = var.tags
}

resource "azurerm_linux_web_app" "whatsit" {
  name                = var.app_name
  location            = var.location
  resource_group_name = var.resource_group_name
  service_plan_id     = azurerm_service_plan.whatsit.id
  https_only          = true
  # A visitor's page lives in the instance that drew it.
  client_affinity_enabled                        = true
  key_vault_reference_identity_id                = module.access.identity_id
  ftp_publish_basic_authentication_enabled       = false
  webdeploy_publish_basic_authentication_enabled = false
  tags                                           = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [module.access.identity_id]
  }

  site_config {
    always_on                                     = true
    websockets_enabled                            = true
    http2_enabled                                 = true
    health_check_path                             = "/readyz"
    health_check_eviction_time_in_min             = 2
    ftps_state                                    = "Disabled"
    minimum_tls_version                           = "1.2"
    scm_minimum_tls_version                       = "1.2"
    container_registry_use_managed_identity       = true
    container_registry_managed_identity_client_id = module.access.client_id

    application_stack {
      docker_registry_url = "https://${var.registry_login_server}"
      docker_image_name   = var.image
    }
  }

  app_settings = merge(
    {
      WEBSITES_PORT                       = "8501"
      WEBSITES_ENABLE_APP_SERVICE_STORAGE = "false"
      WEBSITES_CONTAINER_START_TIME_LIMIT = "300"
      # The front ends of App Service, which reach the container over link-local addresses.
      WHATSIT_TRUSTED_PROXIES = "169.254.0.0/16"
      WHATSIT_ALLOWED_HOSTS   = "${var.app_name}.azurewebsites.net"
      WHATSIT_KEYS_FOLDER     = "/mnt/keys"
    },
    var.settings,
    var.shared_cache ? {
      WHATSIT_REDIS_URL = "@Microsoft.KeyVault(SecretUri=${azurerm_key_vault_secret.redis_url[0].versionless_id})"
    } : {},
  )

  storage_account {
    name         = "keys"
    type         = "AzureFiles"
    account_name = azurerm_storage_account.keys.name
    share_name   = azurerm_storage_share.keys.name
    access_key   = azurerm_storage_account.keys.primary_access_key
    mount_path   = "/mnt/keys"
  }

  logs {
    detailed_error_messages = true
    failed_request_tracing  = true
    http_logs {
      file_system {
        retention_in_days = 7
        retention_in_mb   = 35
      }
    }
  }

  lifecycle {
    # Roll-outs set the image; Terraform brings the first one only.
    ignore_changes = [site_config[0].application_stack[0].docker_image_name]
  }

  depends_on = [module.access]
}
