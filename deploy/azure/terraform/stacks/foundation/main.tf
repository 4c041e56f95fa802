# Shared by the other stacks, created once by a person: the registry, and the identity that GitHub's
# workflows act as. They hold no password: GitHub vouches for the run, Azure trusts the subject.

data "azurerm_client_config" "current" {}

locals {
  tags         = merge({ application = "whatsit", stack = "foundation" }, var.tags)
  subscription = "/subscriptions/${data.azurerm_client_config.current.subscription_id}"
  unique       = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${var.name}"), 0, 6)

  # The roles that the stacks give to the identities they make. The deployer can give no other.
  given_roles = {
    "AcrPull"                       = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    "AzureML Data Scientist"        = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    "Key Vault Secrets Officer"     = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
    "Key Vault Secrets User"        = "4633458b-17de-408a-b874-0445c86b69e6"
    "Storage Blob Data Contributor" = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
  }
  only_given_roles = "ForAnyOfAnyValues:GuidEquals {${join(", ", values(local.given_roles))}}"
}

resource "azurerm_resource_group" "shared" {
  name     = "${var.name}-shared"
  location = var.location
  tags     = local.tags
}

resource "azurerm_container_registry" "shared" {
  name                = coalesce(var.registry_name, "${replace(var.name, "-", "")}${local.unique}")
  location            = var.location
  resource_group_name = azurerm_resource_group.shared.name
  sku                 = "Basic"
  admin_enabled       = false
  tags                = local.tags
}

resource "azurerm_user_assigned_identity" "deployer" {
  name                = "${var.name}-deployer"
  location            = var.location
  resource_group_name = azurerm_resource_group.shared.name
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "github" {
  for_each                  = var.github_subjects
  name                      = each.key
  user_assigned_identity_id = azurerm_user_assigned_identity.deployer.id
  issuer                    = "https://token.actions.githubusercontent.com"
  audience                  = ["api://AzureADTokenExchange"]
  subject                   = each.value
}

resource "azurerm_role_assignment" "pushes_images" {
  scope                = azurerm_container_registry.shared.id
  role_definition_name = "AcrPush"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "keeps_state" {
  scope                = var.state_storage_account_id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
  principal_type       = "ServicePrincipal"
}

# The stacks make resource groups of their own, so the deployer works on the whole subscription:
# give whatsit one of its own.
resource "azurerm_role_assignment" "builds" {
  scope                = local.subscription
  role_definition_name = "Contributor"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "gives_roles" {
  scope                = local.subscription
  role_definition_name = "Role Based Access Control Administrator"
  principal_id         = azurerm_user_assigned_identity.deployer.principal_id
  principal_type       = "ServicePrincipal"
  condition_version    = "2.0"
  condition            = <<-EOT
    (
      !(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})
      OR @Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ${local.only_given_roles}
    )
    AND
    (
      !(ActionMatches{'Microsoft.Authorization/roleAssignments/delete'})
      OR @Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ${local.only_given_roles}
    )
  EOT
}
