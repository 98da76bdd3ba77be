package election

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOrdered(t *testing.T) {
	const uuid = "11111111-2222-3333-4444-555555555555-"
	for name, tc := range map[string]struct{ names, want []string }{
		"nobody":                           {nil, []string{}},
		"one":                              {[]string{uuid + "0000000007"}, []string{uuid + "0000000007"}},
		"by_number_not_by_name":            {[]string{"a-0000000002", "z-0000000001"}, []string{"z-0000000001", "a-0000000002"}},
		"nothing_before_the_digits":        {[]string{"b0000000003", "0000000002"}, []string{"0000000002", "b0000000003"}},
		"more_digits_than_ten":             {[]string{"90000000001", "0000000002"}, []string{"90000000001", "0000000002"}},
		"numbers_beyond_32_bits":           {[]string{"a-9999999999", "b-2147483648", "c-2147483647"}, []string{"c-2147483647", "b-2147483648", "a-9999999999"}},
		"the_same_number_by_name":          {[]string{"b-0000000001", "a-0000000001"}, []string{"a-0000000001", "b-0000000001"}},
		"nine_digits_are_no_candidate":     {[]string{"000000001", "a-000000001"}, []string{}},
		"digits_in_front_are_no_candidate": {[]string{"0000000001-a", "0000000001 "}, []string{}},
		"a_sign_is_no_digit":               {[]string{"a--000000001", "a+000000001", "a 000000001"}, []string{}},
		"other_scripts_have_no_digits":     {[]string{"a-٠٠٠٠٠٠٠٠٠١", "000000000１"}, []string{}},
		"others_are_ignored":               {[]string{"notes", "", "_c_x", "b-0000000005", "00000x0001", "a-0000000006"}, []string{"b-0000000005", "a-0000000006"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Ordered(tc.names); !slices.Equal(got, tc.want) {
				t.Errorf("Ordered(%q) = %q, want %q", tc.names, got, tc.want)
			}
		})
	}
}

var candidateName = regexp.MustCompile(`[0-9]{10}$`)

func FuzzOrdered(f *testing.F) {
	f.Add("a-0000000002/z-0000000001/notes")
	f.Add("0000000001/90000000001//a-000000001")
	f.Add("a-٠٠٠٠٠٠٠٠٠١/\xff0000000001/0000000001\n")
	f.Fuzz(func(t *testing.T, children string) {
		names := strings.Split(children, "/")
		got := Ordered(names)

		var want []string
		for _, name := range names {
			if candidateName.MatchString(name) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, want) {
			t.Errorf("candidates among %q: %q, want %q", names, sorted, want)
		}
		// Ten digits each: the text's order is the number's.
		if !slices.IsSortedFunc(got, func(a, b string) int {
			return strings.Compare(a[len(a)-10:], b[len(b)-10:])
		}) {
			t.Errorf("not in the order of the numbers: %q", got)
		}
		before := ""
		for _, name := range slices.Compact(slices.Clone(got)) { // no two znodes have the same name
			if p, there := predecessor(names, name); p != before || !there {
				t.Errorf("before %q among %q: %q, %t, want %q", name, names, p, there, before)
			}
			before = name
		}
		if p, there := predecessor(names, "not there-0000000000"); there {
			t.Errorf("found what is not there, and %q before it", p)
		}
		slices.Reverse(names)
		if again := Ordered(names); !slices.Equal(again, got) {
			t.Errorf("the order depends on the listing: %q and %q", got, again)
		}
	})
}

// FuzzOrderedIsQuick has as many names as a listing may bring, short or long. To find a
// candidate's predecessor among them takes less than 100 ms. On a slow machine it may take
// longer, but not much longer for each name than among a hundredth of the names: if the time
// grew with the square of their number, it would be 100 times as long for each.
func FuzzOrderedIsQuick(f *testing.F) {
	for _, piece := range []string{"", "lock-", strings.Repeat("x", 5000)} {
		f.Add(piece)
	}
	f.Fuzz(func(t *testing.T, piece string) {
		names := make([]string, min(100_000, 100_000_000/(len(piece)+10)))
		for i := range names {
			names[i] = fmt.Sprintf("%s%010d", piece, (i*7919)%len(names))
		}
		took := func(names []string) time.Duration {
			shortest := time.Hour
			for range 10 { // a busy machine is in the way of some
				began := time.Now()
				predecessor(names, names[len(names)/2])
				shortest = min(shortest, time.Since(began))
			}
			return shortest
		}
		few := names[:len(names)/100]
		if all, some := took(names), took(few); all > 100*time.Millisecond && all > 3000*some {
			t.Errorf("%v for %d names like %.40q, %v for %d", all, len(names), names[0], some, len(few))
		}
	})
}
