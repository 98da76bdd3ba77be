package zktest

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// A Host is where a program of this machine runs: an address, and how to run a
// command there.
type Host struct {
	Addr   string
	Within []string // comes before the command; empty for this very machine
}

// A Network is hosts of their own on this machine, joined by a bridge: each has
// its address, nothing but the bridge between them, and can be cut off.
//
// It is made of Linux network namespaces, within one that this process runs in
// since it was started by the command of PrivateNetwork. So nothing of it is
// seen outside, and the kernel removes all of it when the process and its
// children have ended, however they end. This process reaches every host, on
// both sides of a cut: it is the operator.
type Network struct {
	hosts map[string]Host
}

// PrivateNetwork returns the command, to be followed by another, that runs it in
// a network and a mount namespace of its own. Root may do that, and on most
// machines anyone. Where it is not possible the error says what is missing.
func PrivateNetwork() (command []string, err error) {
	for tool, pkg := range map[string]string{"unshare": "util-linux", "ip": "iproute2"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("a private network needs the command %s, of the package %s", tool, pkg)
		}
	}
	command = []string{"unshare", "--net", "--mount"}
	if os.Geteuid() != 0 {
		command = append(command, "--map-root-user") // a user namespace as well
	}
	command = append(command, "--")
	// All that a Network does, once.
	const probe = makeRun + `
		ip link add whole type bridge
		ip netns add probe
		ip link add probe type veth peer name eth0 netns probe
		ip link set probe master whole
		ip netns exec probe true`
	if err := run("", append(command, "sh", "-c", probe)...); err != nil {
		return nil, fmt.Errorf("a private network needs root, or user namespaces for everyone, and bridges and veth in the kernel: %w", err)
	}
	return command, nil
}

// makeRun gives ip netns a folder for its names. Where nobody has made the folder and this
// process may not, a new /run has to do.
const makeRun = `set -e
		dir=/run/netns; mkdir -p $dir 2>/dev/null || dir=/run
		mount -t tmpfs netns $dir`

// NewNetwork makes a network without hosts, in a process that was started by the
// command of PrivateNetwork. All hosts are on the bridge whole, those that are cut off on the
// bridge apart. This process has an address on each.
func NewNetwork() (*Network, error) {
	err := run("", "sh", "-c", makeRun)
	if err == nil {
		// By default a bridge takes the address of one of its ports, and so changes it
		// when ports come and go.
		err = ip(
			"link set lo up",
			"link add whole address 02:00:00:00:00:01 type bridge",
			"link add apart address 02:00:00:00:00:02 type bridge",
			"address add 10.0.0.1/24 dev whole",
			"address add 10.0.0.2/32 dev apart",
			"link set whole up",
			"link set apart up",
		)
	}
	if err != nil {
		return nil, fmt.Errorf("make a private network: %w", err)
	}
	return &Network{hosts: make(map[string]Host)}, nil
}

// Host returns the host of that name. The first call makes it.
func (n *Network) Host(name string) (Host, error) {
	if h, ok := n.hosts[name]; ok {
		return h, nil
	}
	h := Host{
		Addr:   "10.0.0." + strconv.Itoa(11+len(n.hosts)),
		Within: []string{"ip", "netns", "exec", name},
	}
	err := ip(
		"netns add "+name,
		"link add "+name+" type veth peer name eth0 netns "+name,
		"link set "+name+" master whole up",
	)
	if err == nil {
		err = ipIn(name,
			"address add "+h.Addr+"/24 dev eth0",
			"link set eth0 up",
			"link set lo up",
		)
	}
	if err != nil {
		return Host{}, fmt.Errorf("make host %s: %w", name, err)
	}
	n.hosts[name] = h
	return h, nil
}

// Cut cuts hosts off, without a word to anyone: they reach each other, and
// nothing else; the others do so too.
func (n *Network) Cut(names ...string) error { return n.move("apart", "add", names) }

// Join joins hosts that are cut off with the others again.
func (n *Network) Join(names ...string) error { return n.move("whole", "del", names) }

// move puts hosts on a bridge, all at once, and changes the route of this process to each.
func (n *Network) move(bridge, verb string, names []string) error {
	var links, routes []string
	for _, name := range names {
		links = append(links, "link set "+name+" master "+bridge)
		routes = append(routes, "route "+verb+" "+n.hosts[name].Addr+"/32 dev apart src 10.0.0.2")
	}
	return ip(append(links, routes...)...)
}

// Hide makes every attempt of one host to reach some others fail at once.
func (n *Network) Hide(from string, names ...string) error { return n.routes("add", from, names) }

// Show ends what Hide began.
func (n *Network) Show(from string, names ...string) error { return n.routes("del", from, names) }

func (n *Network) routes(verb, from string, names []string) error {
	var commands []string
	for _, name := range names {
		commands = append(commands, "route "+verb+" unreachable "+n.hosts[name].Addr+"/32")
	}
	return ipIn(from, commands...)
}

// ip carries out commands of ip, one close upon the other.
func ip(commands ...string) error { return run(strings.Join(commands, "\n"), "ip", "-batch", "-") }

func ipIn(host string, commands ...string) error {
	return run(strings.Join(commands, "\n"), "ip", "-n", host, "-batch", "-")
}

// run runs a command. The error has the first line of its output.
func run(input string, command ...string) error {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w: %s", command[0], err, text)
	}
	return nil
}
