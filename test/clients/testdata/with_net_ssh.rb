# A client of dnsgate with Ruby's net-ssh: GATE PORT KEY KNOWN_HOSTS WORD...
require "net/ssh"

gate, port, key, known_hosts, *words = ARGV
options = {
  port: port.to_i, keys: [key], keys_only: true, use_agent: false, config: false, non_interactive: true,
  auth_methods: ["publickey"], verify_host_key: :always, timeout: 10,
  user_known_hosts_file: [known_hosts], global_known_hosts_file: [],
}
status = {}
begin
  Net::SSH.start(gate, "dnsgate", options) do |ssh|
    ssh.exec!(words.join(" "), status: status) do |_, stream, data|
      (stream == :stdout ? $stdout : $stderr).write(data)
    end
  end
rescue Net::SSH::Exception, SystemCallError, SocketError => e
  warn(e.message)
end
exit(status[:exit_code] || 255)
