import CZeroMQ

// libzmq takes over most options when an address is bound or connected, so the listeners of one socket can differ:
// unix-domain sockets plain, in their private folder, TCP with CURVE.
extension Socket {
    /// Sets what holds for the next `bind`.
    func prepareBinding(_ endpoint: Endpoint) throws {
        guard endpoint.isTCP else { return }
        if let server = roles.server {
            set(ZMQ_CURVE_SERVER, 1)
            try secure(ZMQ_CURVE_SECRETKEY, server.keys.secretKey.text)
            try secure(ZMQ_ZAP_DOMAIN, ZapHandler.domain)
            set(ZMQ_ZAP_ENFORCE_DOMAIN, 1)
        } else if !endpoint.isLocal {
            throw WireError.endpoint(
                endpoint.address,
                reason:
                    "others can reach this address, so it needs keys; bind 127.0.0.1, or let 'supervisor.listen' make them"
            )
        }
        setTCPOptions(for: endpoint)
    }

    /// Sets what holds for the next `connect`.
    func prepareConnecting(_ endpoint: Endpoint) throws {
        guard endpoint.isTCP else { return }
        if let client = roles.client {
            try secure(ZMQ_CURVE_SERVERKEY, client.server.text)
            try secure(ZMQ_CURVE_PUBLICKEY, client.keys.publicKey.text)
            try secure(ZMQ_CURVE_SECRETKEY, client.keys.secretKey.text)
        } else if !endpoint.isLocal {
            throw WireError.endpoint(
                endpoint.address, reason: "another machine is spoken to with a key only; give one by --key FILE")
        }
        setTCPOptions(for: endpoint)
        // The system's own patience is two minutes, in which a healed network would not be noticed.
        set(ZMQ_CONNECT_TIMEOUT, 3000)
    }

    /// A connection whose other end has vanished says nothing about it, so each end asks: every two seconds, and gives
    /// up after ten, as pools do by default. The connecting end then dials again.
    private func setTCPOptions(for endpoint: Endpoint) {
        // Only for a number in brackets: with it, IPv4 addresses would get other names.
        set(ZMQ_IPV6, endpoint.host?.hasPrefix("[") == true ? 1 : 0)
        set(ZMQ_HEARTBEAT_IVL, 2000)
        set(ZMQ_HEARTBEAT_TIMEOUT, 10_000)
        set(ZMQ_HEARTBEAT_TTL, 10_000)
    }
}
