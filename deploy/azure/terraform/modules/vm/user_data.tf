# What the machine does when it starts for the first time: install Docker from Ubuntu's own archive,
# and lay out /opt/whatsit as the repository is laid out. The first image is brought by deploy.sh.

locals {
  repository = abspath("${path.module}/../../../../..")
  home       = "/opt/whatsit"

  # The compose files and all that they mount.
  carried = concat(
    ["compose.yaml", "deploy/docker/redis.conf", "deploy/docker/secrets.sh"],
    var.tls ? sort(fileset(local.repository, "compose.tls.yaml")) : [],
    var.tls ? sort(fileset(local.repository, "deploy/caddy/**")) : [],
  )
  scripts = ["deploy.sh", "start.sh", "fetch-secrets.sh", "identity.sh"]

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
    [
      {
        path        = "/etc/systemd/system/whatsit.service"
        permissions = "0644"
        content     = file("${path.module}/files/whatsit.service")
      },
      {
        path        = "${local.home}/.env"
        permissions = "0644"
        content = join("", [for name, value in merge(var.compose_environment, {
          WHATSIT_SECRETS = "${local.home}/secrets"
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
      ["systemctl", "enable", "whatsit.service"],
    ]
  })}"
}
