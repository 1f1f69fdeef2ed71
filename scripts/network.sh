# shellcheck shell=bash
# A network of four routers and two hosts, as namespaces of this machine; sourced after lib.sh. Files go to `scratch`, a
# directory of the caller.
#
#             10.77.12.0   B   10.77.24.0
#     h1 --- A                           D --- h2        h1 is in 10.77.1.0, h2 in 10.77.2.0
#             10.77.13.0   C   10.77.34.0
#
# Routers are 1 to 4 in their networks. B and D run FRR's ripd, C runs BIRD. What runs on A is the caller's business. Both links of A
# have a simple password each (RFC 2453, 4.1). Nothing outside of these namespaces is touched; `network_down` ends what runs in them
# and removes them.

scratch=${scratch:-}
network=lp$$                 # the prefix of their names
nodes=(a b c d h1 h2)
frr=/usr/lib/frr
password_ab=tr0ub4dor password_ac=correcthorse
rip_timers=(5 20 10)         # update, timeout, garbage, in seconds; FRR takes none below 5

# on NODE COMMAND...: runs it there.
on() {
    local node=$1
    shift
    ip netns exec "$network-$node" "$@"
}

# connect X Y XADDRESS YADDRESS: a cable between two nodes.
connect() {
    ip link add "to-$2" netns "$network-$1" type veth peer name "to-$1" netns "$network-$2"
    on "$1" ip addr add "$3/24" brd + dev "to-$2"
    on "$2" ip addr add "$4/24" brd + dev "to-$1"
    on "$1" ip link set "to-$2" up
    on "$2" ip link set "to-$1" up
}

network_up() {
    local node
    for node in "${nodes[@]}"; do
        ip netns add "$network-$node"
        on "$node" ip link set lo up
        on "$node" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        on "$node" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
        on "$node" sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
        mkdir -p "$scratch/$node"
    done
    for node in a b c d; do on "$node" sysctl -qw net.ipv4.ip_forward=1; done
    connect h1 a 10.77.1.2 10.77.1.1
    connect a b 10.77.12.1 10.77.12.2
    connect a c 10.77.13.1 10.77.13.3
    connect b d 10.77.24.2 10.77.24.4
    connect c d 10.77.34.3 10.77.34.4
    connect d h2 10.77.2.1 10.77.2.2
    on h1 ip route add default via 10.77.1.1
    on h2 ip route add default via 10.77.2.1
    chown frr:frr "$scratch"/{a,b,d}
    chmod 755 "$scratch"
    start_frr b
    start_frr d
    start_bird c
}

# The interfaces of a node but lo, one a line.
interfaces_of() { on "$1" ip -o link show | sed -nE 's/^[0-9]+: (to-[a-z0-9]+)@.*/\1/p'; }

# start_daemon NODE DAEMON: one of FRR's.
start_daemon() {
    local directory=$scratch/$1
    on "$1" "$frr/$2" -d -f "$directory/$2.conf" -i "$directory/$2.pid" -z "$directory/zserv.api" \
        --vty_socket "$directory" --log "file:$directory/$2.log" -P 0 -u frr -g frr >>"$directory/$2.out" 2>&1 ||
        die "FRR's $2 did not start: $(cat "$directory/$2.out")"
}

# frr_password INTERFACE PASSWORD: a part of ripd's configuration.
frr_password() {
    printf 'interface %s\n ip rip authentication mode text\n ip rip authentication string %s\n' "$1" "$2"
}

start_frr() {
    local directory=$scratch/$1 interface
    printf 'hostname %s\n' "$1" >"$directory/zebra.conf"
    {
        printf 'hostname %s\n' "$1"
        case $1 in
            a) frr_password to-b "$password_ab"; frr_password to-c "$password_ac" ;;
            b) frr_password to-a "$password_ab" ;;
        esac
        printf 'router rip\n version 2\n timers basic %s\n' "${rip_timers[*]}"
        for interface in $(interfaces_of "$1"); do
            printf ' network %s\n' "$interface"
            case $interface in to-h*) printf ' passive-interface %s\n' "$interface" ;; esac
        done
    } >"$directory/ripd.conf"
    chown frr:frr "$directory"/*.conf
    start_daemon "$1" zebra
    start_daemon "$1" ripd
}

# stop_daemon NODE DAEMON: and wait until it has ended.
stop_daemon() {
    local pid
    pid=$(<"$scratch/$1/$2.pid")
    # It is the one of our own namespace, whatever the number was used for since.
    on "$1" sh -c "ip netns identify $pid" | grep -qx "$network-$1" || return 0
    kill -TERM "$pid"
    wait_for 10 not_running "$pid" || die "FRR's $2 did not end"
}

not_running() { ! [ -d "/proc/$1" ]; }

start_bird() {
    local directory=$scratch/$1 interface
    {
        printf 'log "%s" all;\nrouter id 10.77.0.3;\nprotocol device { scan time 1; }\n' "$directory/bird.log"
        printf 'protocol direct { ipv4; interface "to-*"; }\n'
        printf 'protocol kernel { ipv4 { import none; export where source != RTS_DEVICE; }; }\n'
        printf 'protocol rip { ipv4 { import all; export all; };\n'
        for interface in $(interfaces_of "$1"); do
            printf ' interface "%s" { version 2; mode multicast; update time %s; timeout time %s; garbage time %s;' \
                "$interface" "${rip_timers[@]}"
            [ "$interface" != to-a ] || printf ' authentication plaintext; password "%s";' "$password_ac"
            printf ' };\n'
        done
        printf '}\n'
    } >"$directory/bird.conf"
    on "$1" bird -c "$directory/bird.conf" -s "$directory/bird.ctl" -P "$directory/bird.pid" ||
        die "BIRD did not start"
}

# Whether both hosts reach each other.
converged() {
    on a ip route show 10.77.2.0/24 | grep -q via && on d ip route show 10.77.1.0/24 | grep -q via &&
        on b ip route show 10.77.1.0/24 | grep -q via && on h1 ping -nqc1 -W1 10.77.2.2
}

# route NODE NETWORK GATEWAY: whether that is its way there.
route() { on "$1" ip route show "$2" | grep -q "via $3 "; }

# Whether A, B and D also have the shortest way to the links that they are not on, so that nobody is about to change a route: of two
# ways to a network the longer one may be heard of first, and be replaced some seconds later.
settled() {
    converged && route a 10.77.24.0/24 10.77.12.2 && route a 10.77.34.0/24 10.77.13.3 &&
        route b 10.77.13.0/24 10.77.12.1 && route b 10.77.34.0/24 10.77.24.4 &&
        route d 10.77.12.0/24 10.77.24.2 && route d 10.77.13.0/24 10.77.34.3
}

# What runs in our namespaces, by number.
network_processes() {
    local node
    for node in "${nodes[@]}"; do ip netns pids "$network-$node" 2>/dev/null; done
}

no_processes() { [ -z "$(network_processes)" ]; }

network_down() {
    local pid node
    for pid in $(network_processes); do kill -TERM "$pid" 2>/dev/null || true; done
    if ! wait_for 5 no_processes; then
        for pid in $(network_processes); do kill -KILL "$pid" 2>/dev/null || true; done
    fi
    for node in "${nodes[@]}"; do ip netns del "$network-$node" 2>/dev/null || true; done
}
