mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  registry_name = "example"
  image_digest  = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
}

run "outputs_say_what_is_needed_next" {
  command = apply

  assert {
    condition = (
      output.url == "https://mock.azurewebsites.net" && output.resource_group == "whatsit-webapp"
      && can(regex("^whatsit-app-[0-9a-f]{6}$", output.web_app_name)) && output.registry_login_server == "example.azurecr.io"
      && can(regex("^whatsitkeys[0-9a-f]{6}$", output.keys_storage_account))
    )
    error_message = "The roll-out would look elsewhere."
  }
}

run "a_tag_is_no_digest" {
  command = plan
  variables {
    image_digest = "latest"
  }
  expect_failures = [var.image_digest]
}

run "a_plan_that_sleeps_is_refused" {
  command = plan
  variables {
    plan_sku = "F1"
  }
  expect_failures = [var.plan_sku]
}

run "several_instances_need_the_shared_cache" {
  command = plan
  variables {
    instances    = 2
    shared_cache = false
  }
  expect_failures = [var.shared_cache]
}

run "an_api_without_keys_is_refused" {
  command = plan
  variables {
    settings = { WHATSIT_API_KEYS = "off" }
  }
  expect_failures = [var.settings]
}

run "a_secret_among_the_settings_is_refused" {
  command = plan
  variables {
    settings = { WHATSIT_REDIS_URL = "rediss://:hunter2@example.org:6380/0" }
  }
  expect_failures = [var.settings]
}

run "further_values_out_of_range_are_refused" {
  command = plan
  variables {
    name              = "x"
    location          = "West Europe"
    instances         = 0
    redis_sku         = "Basic_C0"
    redis_key_version = 1.5
    registry_name     = "a.b"
  }
  expect_failures = [
    var.name, var.location, var.instances, var.redis_sku, var.redis_key_version, var.registry_name,
  ]
}
