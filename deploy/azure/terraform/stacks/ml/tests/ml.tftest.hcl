mock_provider "azurerm" {
  source = "../../mocks"
}

run "outputs_say_what_az_ml_asks_for" {
  command = apply

  assert {
    condition     = output.resource_group == "whatsit-ml" && output.workspace_name == "whatsit-ml" && output.clusters == tolist(["whatsit-cpu"])
    error_message = "Jobs would be submitted elsewhere."
  }
}

run "a_cluster_without_a_bound_is_refused" {
  command = plan
  variables {
    clusters = { "whatsit-gpu" = { vm_size = "Standard_NC4as_T4_v3", max_nodes = 100 } }
  }
  expect_failures = [var.clusters]
}

run "further_values_out_of_range_are_refused" {
  command = plan
  variables {
    name         = "x"
    location     = "West Europe"
    idle_minutes = 600
  }
  expect_failures = [var.name, var.location, var.idle_minutes]
}
