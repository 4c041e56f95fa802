mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  state_storage_account_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/state/providers/Microsoft.Storage/storageAccounts/whatsitstate"
  github_subjects = {
    production = "repo:example@1/whatsit@2:environment:production"
    plans      = "repo:example@1/whatsit@2:pull_request"
  }
}

run "github_signs_in_without_a_password" {
  command = apply

  assert {
    condition = (
      azurerm_federated_identity_credential.github["production"].subject == "repo:example@1/whatsit@2:environment:production"
      && azurerm_federated_identity_credential.github["production"].issuer == "https://token.actions.githubusercontent.com"
      && azurerm_federated_identity_credential.github["plans"].user_assigned_identity_id == azurerm_user_assigned_identity.deployer.id
    )
    error_message = "GitHub can't sign in."
  }
  assert {
    condition     = !azurerm_container_registry.shared.admin_enabled
    error_message = "The registry has a password."
  }
}

run "the_deployer_gives_no_role_beyond_those_of_the_stacks" {
  command = apply

  assert {
    condition     = length(regexall("ForAnyOfAnyValues:GuidEquals \\{[0-9a-f, -]+\\}", azurerm_role_assignment.gives_roles.condition)) == 2
    error_message = "The deployer could give roles freely."
  }
  assert {
    # Owner, Contributor, User Access Administrator, Role Based Access Control Administrator.
    condition = !anytrue([for role in [
      "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "b24988ac-6180-42a0-ab88-20f7382dd24c",
      "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    ] : strcontains(azurerm_role_assignment.gives_roles.condition, role)])
    error_message = "The deployer could make an owner."
  }
}

run "a_wildcard_is_no_subject" {
  command = plan
  variables {
    github_subjects = { all = "repo:example/*:pull_request" }
  }
  expect_failures = [var.github_subjects]
}

run "half_an_id_is_refused" {
  command = plan
  variables {
    state_storage_account_id = "whatsitstate"
  }
  expect_failures = [var.state_storage_account_id]
}
