package history

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCheckRetention has u be failed 8 ms after the beginning, and its payload or
// another be alone since then.
func TestCheckRetention(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines []string
		want  string // rules that are violated where results are kept for 3 ms
	}{
		"in_time":                    {[]string{"9 open", "9 close", "1 - /tasks/u | - /data/u"}, ""},
		"too_early":                  {[]string{"9 open", "1 - /tasks/u | - /data/u"}, "remove"},
		"collected_early":            {[]string{"9 - /tasks/u | - /data/u"}, ""},
		"counted_anew_after_a_retry": {[]string{"9 = /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "9 open", "1 - /tasks/u | - /data/u"}, "remove"},
		"a_lone_payload_in_time":     {[]string{"9 - /tasks/u", "9 open", "9 close", "1 - /data/u"}, ""},
		"an_old_payload_whose_task_went_just_now": {[]string{"9 open", "9 close", "8 - /tasks/u", "9 open", "1 - /data/u"}, ""},
		"one_that_never_had_a_task":               {[]string{"99 +p /data/x", "9 open", "9 close", "1 - /data/x"}, ""},
		"one_that_was_made_just_before":           {[]string{"9 open", "9 close", "99 +p /data/x", "1 - /data/x"}, "remove"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := append(slices.Clone(cast), "24 +p /data/u 1 | +p /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u failed so")
			txns := script(t, append(lines, tc.lines...)...)
			o := Options{Hands: []int64{99}, Retention: 3 * time.Millisecond}
			var got []string
			for _, v := range Check(txns, o).Violations {
				got = append(got, string(v.Rule))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			o.Retention = 0
			if err := Check(txns, o).Err(); err != nil {
				t.Errorf("where it is not known: %v", err)
			}
		})
	}
}
