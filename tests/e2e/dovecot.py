"""The configuration of a Dovecot of the other side."""


def conf(root, log, users, pop3=0, imap=0, imaps=0, certificate=None, more=""):
    """root: a folder for its own files; log: a file; users: lines of passwd(5); ports, 0: not that. certificate: (certificate, key)."""
    protocols = ["pop3"] * bool(pop3) + ["imap"] * bool(imap or imaps)
    files = f"ssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}" if certificate else ""
    text = f"""base_dir = {root}/run
state_dir = {root}/state
log_path = {log}
protocols = {" ".join(protocols)}
ssl = {"yes" if certificate else "no"}
{files}
disable_plaintext_auth = no
auth_cache_size = 0
mail_location = maildir:~/Maildir
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
"""
    for service, ports in (("pop3", (pop3, 0)), ("imap", (imap, imaps))):
        if service in protocols:
            text += f"service {service}-login {{\n  chroot =\n"
            for suffix, port in zip(("", "s"), ports):
                text += f"  inet_listener {service}{suffix} {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n"
            text += "}\n"
    return text + more
