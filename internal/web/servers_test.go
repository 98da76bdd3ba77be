package web

import "testing"

func TestSentenceOnTheQuorum(t *testing.T) {
	const leader, follower, observer, down, readOnly, alone = "leader", "follower", "observer", "", "read-only", "standalone"
	const beyond = "that is a majority only with others that are not listed, or cannot be reached from here."
	for name, c := range map[string]struct {
		modes []string
		want  string
		spare int
	}{
		"all of three": {[]string{leader, follower, follower}, "3 of 3 servers serve: one more may fail.", 1},
		"two of three": {[]string{leader, down, follower}, "2 of 3 servers serve: one more failure stops everything.", 0},
		"two of two":   {[]string{leader, follower}, "2 of 2 servers serve: one more failure stops everything.", 0},
		"all of four, which is no more than three": {[]string{leader, follower, follower, follower}, "4 of 4 servers serve: one more may fail.", 1},
		"all of five":                                 {[]string{leader, follower, follower, follower, follower}, "5 of 5 servers serve: 2 more may fail.", 2},
		"an observer has no vote":                     {[]string{leader, follower, down, observer}, "2 of 3 servers serve: one more failure stops everything.", 0},
		"a read-only server is cut off":               {[]string{leader, follower, readOnly}, "2 of 3 servers serve: one more failure stops everything.", 0},
		"less than half of those listed, which serve": {[]string{down, follower, down}, "1 of 3 servers serve: " + beyond, -1},
		"one alone":                                   {[]string{alone}, "", 0},
		"one alone, by two names":                     {[]string{alone, alone}, "", 0},
		"one of those there are":                      {[]string{follower}, "", 0},
		"observers alone":                             {[]string{observer, observer}, "", 0},
	} {
		var all []server
		for _, mode := range c.modes {
			all = append(all, server{Mode: mode})
		}
		if got, spare := quorum(all); got != c.want || spare != c.spare {
			t.Errorf("%s: %q, %d; want %q, %d", name, got, spare, c.want, c.spare)
		}
	}
}

func TestLatencyIsRounded(t *testing.T) {
	for latency, want := range map[string]string{"0/1.3499/19": "0 / 1.3 / 19", "0/0.0/0": "0 / 0.0 / 0", "0/17/20": "0 / 17.0 / 20", "": "", "0/x/1": "0 / x / 1", "1/2": "1/2"} {
		if got := rounded(latency); got != want {
			t.Errorf("%q: %q, want %q", latency, got, want)
		}
	}
}
