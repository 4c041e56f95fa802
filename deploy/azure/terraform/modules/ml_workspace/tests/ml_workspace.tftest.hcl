mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  name                    = "whatsit"
  unique                  = "abc123"
  location                = "westeurope"
  resource_group_name     = "whatsit-ml"
  tags                    = { application = "whatsit" }
  tenant_id               = "00000000-0000-0000-0000-000000000000"
  clusters                = { "whatsit-cpu" = { vm_size = "Standard_D4as_v4", max_nodes = 2, priority = "LowPriority" } }
  idle_minutes            = 5
  submitter_principal_ids = { deployer = "00000000-0000-0000-0000-0000000000d1" }
}

run "clusters_cost_nothing_while_no_job_runs" {
  command = apply

  assert {
    condition = alltrue([for cluster in azurerm_machine_learning_compute_cluster.ml :
      cluster.scale_settings[0].min_node_count == 0
      && cluster.scale_settings[0].scale_down_nodes_after_idle_duration == "PT5M"
    ])
    error_message = "A machine would wait for jobs for ever."
  }
  assert {
    condition     = output.clusters == tolist(["whatsit-cpu"]) && azurerm_machine_learning_compute_cluster.ml["whatsit-cpu"].scale_settings[0].max_node_count == 2
    error_message = "The cluster is another than was asked for."
  }
}

run "the_workspace_stands_on_its_own_four" {
  command = apply

  assert {
    condition = (
      azurerm_machine_learning_workspace.ml.storage_account_id == azurerm_storage_account.ml.id
      && azurerm_machine_learning_workspace.ml.key_vault_id == azurerm_key_vault.ml.id
      && azurerm_machine_learning_workspace.ml.application_insights_id == azurerm_application_insights.ml.id
      && azurerm_machine_learning_workspace.ml.container_registry_id == azurerm_container_registry.ml.id
      && azurerm_machine_learning_workspace.ml.identity[0].type == "SystemAssigned"
    )
    error_message = "The workspace stands on something else."
  }
}

run "jobs_may_do_what_they_need_and_nobody_logs_in_to_their_machines" {
  command = apply

  assert {
    condition = (
      { for role, given in azurerm_role_assignment.jobs : role => given.scope } == {
        "Storage Blob Data Contributor" = azurerm_storage_account.ml.id
        "AcrPull"                       = azurerm_container_registry.ml.id
        "AzureML Data Scientist"        = azurerm_machine_learning_workspace.ml.id
      }
      && alltrue([for given in azurerm_role_assignment.jobs : given.principal_id == azurerm_user_assigned_identity.jobs.principal_id])
      && azurerm_machine_learning_compute_cluster.ml["whatsit-cpu"].identity[0].identity_ids == toset([azurerm_user_assigned_identity.jobs.id])
    )
    error_message = "Jobs may do more or less than they need."
  }
  assert {
    condition     = alltrue([for cluster in azurerm_machine_learning_compute_cluster.ml : !cluster.local_auth_enabled && !cluster.ssh_public_access_enabled])
    error_message = "A login is possible."
  }
  assert {
    condition     = azurerm_role_assignment.submitters["deployer"].principal_id == "00000000-0000-0000-0000-0000000000d1" && azurerm_role_assignment.submitters["deployer"].scope == azurerm_machine_learning_workspace.ml.id
    error_message = "The deployer can't submit jobs."
  }
}
