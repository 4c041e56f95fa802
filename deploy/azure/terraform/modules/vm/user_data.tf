# The first start of the machine: install Docker from Ubuntu's own archive,
# and lay out /opt/whatsit as the repository is laid out. The first image is brought by deploy.sh.

locals {
  repository = abspath("${path.module}/../../../../..")
  home       = "/opt/whatsit"

  # The compose files and all that they mount.
  carried = concat(
    ["compose.yaml"],
    var.tls ? sort(fileset(local.repository, "compose.tls.yaml")) : [],
    var.tls ? sort(fileset(local.repository, "deploy/caddy/**")) : [],
  )
  scripts = ["deploy.sh", "start.sh", "fetch-secrets.sh", "identity.sh", "refuse-metadata.sh"]
  units   = ["whatsit.service", "whatsit-firewall.service"]

  files = concat(
    [for file in local.carried : {
      path        = "${local.home}/${file}"
      permissions = "0644"
      content     = file("${local.repository}/${file}")
    }],
    [for script in local.scripts : {
      path        = "${local.home}/${script}"
      permissions = "0755"
      content     = file("${path.module}/files/${script}")
    }],
    [for unit in local.units : {
      path        = "/etc/systemd/system/${unit}"
      permissions = "0644"
      content     = file("${path.module}/files/${unit}")
    }],
    [
      {
        path        = "${local.home}/compose.password.yaml"
        permissions = "0644"
        content     = file("${path.module}/files/compose.password.yaml")
      },
      {
        path        = "${local.home}/.env"
        permissions = "0644"
        content = join("", [for name, value in merge(var.compose_environment, {
          COMPOSE_FILE = "compose.yaml:compose.password.yaml${var.tls ? ":compose.tls.yaml" : ""}"
        }) : "${name}=${value}\n"])
      },
      {
        path        = "${local.home}/identity.env"
        permissions = "0644"
        content     = <<-EOT
          CLIENT_ID=${module.access.client_id}
          VAULT_URL=https://${var.vault_name}.vault.azure.net
          REGISTRY=${var.registry_login_server}
        EOT
      },
    ],
  )

  user_data = "#cloud-config\n${yamlencode({
    package_update = true
    packages       = ["curl", "docker.io", "docker-compose-v2"]
    write_files    = local.files
    runcmd = [
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "docker.service"],
      ["systemctl", "enable", "--now", "whatsit-firewall.service"],
      ["systemctl", "enable", "whatsit.service"],
    ]
  })}"
}
