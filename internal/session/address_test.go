package session

import (
	"slices"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	tests := []struct {
		name, in string
		servers  []string
		chroot   string
	}{
		{"one server", "h:2182", []string{"h:2182"}, ""},
		{"a port left out", "h", []string{"h:2181"}, ""},
		{"several servers", "h1:1,h2,h3:3", []string{"h1:1", "h2:2181", "h3:3"}, ""},
		{"blanks between", " h1:1 , h2:2 ", []string{"h1:1", "h2:2"}, ""},
		{"a chroot", "h1:1,h2:2/app", []string{"h1:1", "h2:2"}, "/app"},
		{"a chroot of several levels", "h/a/b.c/d", []string{"h:2181"}, "/a/b.c/d"},
		{"a slash at the end", "h/app/", []string{"h:2181"}, "/app"},
		{"only a slash", "h:1/", []string{"h:1"}, ""},
		{"a blank after the chroot", "h:1/app ", []string{"h:1"}, "/app"},
		{"an IPv4 address", "127.0.0.1:1", []string{"127.0.0.1:1"}, ""},
		{"an IPv6 address", "[::1]:1,[::2]", []string{"[::1]:1", "[::2]:2181"}, ""},
		{"an IPv6 zone", "[fe80::1%eth0]:1", []string{"[fe80::1%eth0]:1"}, ""},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got, err := ParseAddress(tt.in)
			if err != nil || !slices.Equal(got.Servers, tt.servers) || got.Chroot != tt.chroot {
				t.Errorf("ParseAddress(%q) = %+v, %v", tt.in, got, err)
			}
		})
	}
}

func TestParseAddressRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", "", "a host is missing"},
		{"only a chroot", "/app", "a host is missing"},
		{"a comma at the end", "h:1,", "a host is missing"},
		{"a port alone", ":2181", "a host is missing"},
		{"empty brackets", "[]:1", "a host is missing"},
		{"an empty port", "h:", "is no port"},
		{"port 0", "h:0", "is no port"},
		{"a port too large", "h:65536", "is no port"},
		{"a port with a sign", "h:+1", "is no port"},
		{"a named port", "h:http", "is no port"},
		{"a URL", "zk://h:1,h2/app", "leave the scheme out: h:1,h2/app;"},
		{"a chroot after each server", "h:1/a,h2:2/a", "give the chroot once, after the last server: h:1,h2:2/a;"},
		{"a chroot after each of one server", "h:1/a,h:1/a", "give the chroot once, after the last server: h:1/a;"},
		{"a chroot after the first server", "h:1/a/b,h2:2", "give the chroot once, after the last server: h:1,h2:2/a/b;"},
		{"only a slash after the first server", "h:1/,h2:2/a", "give the chroot once, after the last server: h:1,h2:2/a;"},
		{"a comma after the chroot", "h:1/a,", "give the chroot once, after the last server: h:1/a;"},
		{"a server twice", "h:1,h2:2,h:1/a", "h:1 is given twice"},
		{"a server twice, once without its port", "h,h:2181", "h:2181 is given twice"},
		{"no server between commas", "h:1,,h2:2", "a host is missing"},
		{"semicolons", "h:1;h2:2", "is no host:port"},
		{"a bare IPv6 address", "::1", "in brackets"},
		{"a bare IPv6 address with a port", "fe80::1:2181", "in brackets"},
		{"a bracket missing", "[::1", "in brackets"},
		{"a bracket too many", "h]", "is no host"},
		{"blanks instead of commas", "h1 h2", "is no host"},
		{"an empty level", "h//app", "is no path"},
		{"two slashes at the end", "h/app//", "is no path"},
		{"a dot", "h/./app", "is no path"},
		{"two dots", "h/app/..", "is no path"},
		{"a control character", "h/a\x00b", "is no path"},
		{"a character for private use", "h/\ue000", "is no path"},
		{"no UTF-8", "h/\xff", "is no path"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			got, err := ParseAddress(tt.in)
			if err == nil {
				t.Fatalf("ParseAddress(%q) = %+v", tt.in, got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"", "h", "h1:1,h2/app", "[::1]:1/a/b/", "h:1,", "[", "h/..", "h//", "a b", "[%]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := ParseAddress(in)
		if err != nil {
			return
		}
		if len(a.Servers) == 0 || a.Chroot != "" && (a.Chroot[0] != '/' || strings.HasSuffix(a.Chroot, "/")) {
			t.Fatalf("ParseAddress(%q) = %+v", in, a)
		}
		again, err := ParseAddress(a.String())
		if err != nil || !slices.Equal(again.Servers, a.Servers) || again.Chroot != a.Chroot {
			t.Fatalf("%q is %+v, written and read again %+v, %v", in, a, again, err)
		}
	})
}
