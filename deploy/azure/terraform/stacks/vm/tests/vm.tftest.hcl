mock_provider "azurerm" {
  source = "../../mocks"
}

variables {
  registry_name  = "example"
  ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
  domain_label   = "whatsit-test"
  clients_from   = ["198.51.100.0/24"]
}

run "plain" {
  command = apply

  assert {
    condition     = output.url == "http://whatsit-test.westeurope.cloudapp.azure.com:8501"
    error_message = "The address is ${output.url}."
  }
  assert {
    condition     = toset(keys(output.open_ports)) == toset(["8501"])
    error_message = "Open: ${jsonencode(output.open_ports)}"
  }
  assert {
    condition     = strcontains(output.user_data, "WHATSIT_API_KEYS=required") && strcontains(output.user_data, "WHATSIT_PUBLISH=8501")
    error_message = "The API is open, or closed to everybody."
  }
  assert {
    condition     = strcontains(output.user_data, "WHATSIT_ALLOWED_HOSTS=whatsit-test.westeurope.cloudapp.azure.com,192.0.2.7")
    error_message = "The service would not answer to its name and its address."
  }
  assert {
    condition = (
      output.resource_group == "whatsit-vm" && output.vm_name == "whatsit-vm"
      && output.registry_login_server == "example.azurecr.io" && output.identity_client_id != ""
      && strcontains(output.roll_out, "/opt/whatsit/deploy.sh example.azurecr.io/whatsit@sha256:")
    )
    error_message = "The roll-out would look elsewhere."
  }
}

run "tls" {
  command = apply
  variables {
    tls          = true
    acme_email   = "someone@example.org"
    clients_from = ["0.0.0.0/0"]
  }

  assert {
    condition     = output.url == "https://whatsit-test.westeurope.cloudapp.azure.com"
    error_message = "The address is ${output.url}."
  }
  assert {
    condition     = toset(keys(output.open_ports)) == toset(["80", "443"])
    error_message = "Open: ${jsonencode(output.open_ports)}"
  }
  assert {
    condition = alltrue([for line in [
      "COMPOSE_FILE=compose.yaml:compose.password.yaml:compose.tls.yaml", "COMPOSE_PROFILES=tls",
      "WHATSIT_DOMAIN=whatsit-test.westeurope.cloudapp.azure.com",
      "WHATSIT_CADDY_OPTIONS=email someone@example.org", "WHATSIT_API_KEYS=required",
    ] : strcontains(output.user_data, line)]) && !strcontains(output.user_data, "WHATSIT_PUBLISH=8501")
    error_message = "The proxy lacks a setting, or 8501 bypasses it."
  }
}

run "names_differ_between_subscriptions" {
  command = apply
  variables {
    domain_label = null
  }

  assert {
    condition     = can(regex("^http://whatsit-[0-9a-f]{6}\\.westeurope", output.url)) && can(regex("^whatsit-vm-[0-9a-f]{6}$", output.vault_name))
    error_message = "${output.url} or ${output.vault_name} may be taken."
  }
}

run "ssh_from_everywhere_is_refused" {
  command = plan
  variables {
    ssh_from = "0.0.0.0/0"
  }
  expect_failures = [var.ssh_from]
}

run "ssh_from_a_bare_address_is_refused" {
  command = plan
  variables {
    ssh_from = "198.51.100.7"
  }
  expect_failures = [var.ssh_from]
}

run "clients_without_a_mask_are_refused" {
  command = plan
  variables {
    clients_from = ["198.51.100.7"]
  }
  expect_failures = [var.clients_from]
}

run "everybody_without_tls_is_refused" {
  command = plan
  variables {
    clients_from = ["0.0.0.0/0"]
  }
  expect_failures = [var.clients_from]
}

run "everybody_in_two_halves_is_refused_too" {
  command = plan
  variables {
    clients_from = ["0.0.0.0/1", "128.0.0.0/1"]
  }
  expect_failures = [var.clients_from]
}

run "no_keys_for_everybody_are_refused" {
  command = plan
  variables {
    api_keys     = "off"
    tls          = true
    acme_email   = "someone@example.org"
    clients_from = ["0.0.0.0/0"]
  }
  expect_failures = [var.api_keys]
}

run "no_keys_for_everybody_in_two_halves_are_refused_too" {
  command = plan
  variables {
    api_keys     = "off"
    tls          = true
    acme_email   = "someone@example.org"
    clients_from = ["0.0.0.0/1", "128.0.0.0/1"]
  }
  expect_failures = [var.api_keys]
}

run "no_keys_for_one_network_are_possible" {
  command = plan
  variables {
    api_keys     = "off"
    clients_from = ["198.51.100.0/24"]
  }
}

run "tls_without_an_address_is_refused" {
  command = plan
  variables {
    tls = true
  }
  expect_failures = [var.acme_email]
}

run "a_size_with_arm_processors_is_refused" {
  command = plan
  variables {
    vm_size = "Standard_B2pls_v2"
  }
  expect_failures = [var.vm_size]
}

run "further_values_out_of_range_are_refused" {
  command = plan
  variables {
    name                   = "What Is It"
    location               = "West Europe"
    ssh_public_key         = "-----BEGIN OPENSSH PRIVATE KEY-----"
    domain_label           = "-"
    disk_gb                = 8
    memory                 = "2 GB"
    rate_limit             = "many"
    redis_password_version = 0
    registry_name          = "example.azurecr.io"
    vault_from             = ["198.51.100.7"]
  }
  expect_failures = [
    var.name, var.location, var.ssh_public_key, var.domain_label, var.disk_gb, var.memory,
    var.rate_limit, var.redis_password_version, var.registry_name, var.vault_from,
  ]
}
