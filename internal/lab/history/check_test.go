package history

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// script makes a history. Each line is a transaction:
//
//	<session> <operation> | <operation>…
//
//	+ path data    create, ephemeral        = path data   set
//	+p path data   create, persistent       - path        delete
//	open, close, expire                     ! n           refused at operation n: no node
//
// A comma in data stands for a newline. The n-th transaction is n ms old. The first six are
// the same in each history: session 1 leads, 2 is its backup, 11 and 12 have a worker each,
// and client 21 has submitted t.
func script(t *testing.T, more ...string) (txns []Txn) {
	t.Helper()
	lines := []string{
		"1 +p /master | +p /workers | +p /tasks | +p /data",
		"1 + /master/m-0000000009",
		"2 + /master/m-0000000010",
		"11 + /workers/w",
		"12 + /workers/v",
		"21 + /data/t 1 | + /tasks/t pending",
	}
	for _, text := range more {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	replayed := newTree()
	for i, line := range lines {
		number, ops, _ := strings.Cut(line, " ")
		session, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		txn := Txn{Zxid: int64(i + 1), Session: session, Time: at(i + 1), RefusedAt: -1}
		for op := range strings.SplitSeq(ops, " | ") {
			f := append(strings.SplitN(op, " ", 3), "", "")
			e := Event{Path: f[1], Data: []byte(strings.ReplaceAll(f[2], ",", "\n"))}
			var events []Event
			switch f[0] {
			case "open":
				e.Op = OpenSession
			case "close", "expire":
				events = replayed.deletes(session)
				e.Op, txn.Expired = CloseSession, f[0] == "expire"
			case "+":
				e.Op, e.Owner = Create, session
			case "+p":
				e.Op = Create
			case "=":
				e.Op = Set
				e.Version = replayed.nodes[e.Path].version + 1
			case "-":
				e.Op = Delete
			case "!":
				txn.Refused = NoNode
				txn.RefusedAt, _ = strconv.Atoi(f[1])
				continue
			default:
				t.Fatalf("%q: no operation", op)
			}
			for _, e := range append(events, e) {
				if err := replayed.change(e); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				txn.Events = append(txn.Events, e)
			}
		}
		txns = append(txns, txn)
	}
	return txns
}

func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

func TestCheck(t *testing.T) {
	t.Parallel()
	const (
		assign = "1 = /workers/w t"
		commit = "11 = /workers/w | = /tasks/t done 0"
		// Two tasks in one list.
		assignTwo = "21 + /data/u | + /tasks/u\n1 = /workers/w t,u"
		// A detached task, u.
		detached = "24 +p /data/u 1 | +p /tasks/u pending"
		fail     = "1 = /workers/w u\n11 = /workers/w | = /tasks/u failed so"
		lose     = "1 = /workers/w u\n11 expire\n1 = /tasks/u failed lost with 1 worker"
	)
	type lines []string
	for name, tc := range map[string]struct {
		lines lines
		want  string // rules and znodes that are violated
	}{
		"a worker finishes a task":                           {lines{assign, commit, "21 - /data/t | - /tasks/t"}, ""},
		"a worker fails a task":                              {lines{assign, "11 = /workers/w | = /tasks/t failed so"}, ""},
		"a worker finishes the tasks of its list one by one": {lines{assignTwo, "11 = /workers/w u | = /tasks/t done", "11 = /workers/w | = /tasks/u done"}, ""},
		"a worker finishes two tasks in one transaction":     {lines{assignTwo, "11 = /workers/w | = /tasks/t done | = /tasks/u done"}, ""},
		"znodes of other programs are ignored":               {lines{"5 +p /else | +p /else/a b | + /master/me", "5 +p /tasks/t/child | = /master/me you | - /tasks/t/child"}, ""},
		"the leader writes to its candidate":                 {lines{"1 = /master/m-0000000009 host:1", assign, commit}, ""},
		"sessions of people are not judged": {lines{"99 = /tasks/t done 1 | + /workers/h t", "99 = /tasks/t done 2 | + /master/0000000001", "99 + /data/x | - /data/t"},
			""},

		"a commit keeps what the submitter asks for": {lines{"21 + /data/u 1 | + /tasks/u pending: timeout=5 x=1", "1 = /workers/w u",
			"11 = /workers/w | = /tasks/u failed: timeout=5 x=1 worker=w exit=1"}, ""},
		"a commit drops what the submitter asks for": {lines{"21 + /data/u 1 | + /tasks/u pending: timeout=5 x=1", "1 = /workers/w u",
			"11 = /workers/w | = /tasks/u done: timeout=5 worker=w"}, "commit /tasks/u"},

		// drain
		"a worker that is being drained finishes its task": {lines{"9 +p /drain | +p /drain/w why", assign, commit, "1 = /drain/w drained why"}, ""},
		"a drained worker gets a task":                     {lines{"9 +p /drain | +p /drain/w", "1 = /drain/w drained", assign}, "drain /workers/w"},
		"another worker than the drained one gets a task":  {lines{"9 +p /drain | +p /drain/v", "1 = /drain/v drained", assign}, ""},
		"a worker gets a task after the end of its drain":  {lines{"9 +p /drain | +p /drain/w", "1 = /drain/w drained", "9 - /drain/w", assign}, ""},
		"a worker with a task counts as drained":           {lines{"9 +p /drain | +p /drain/w", assign, "1 = /drain/w drained"}, "drain /drain/w"},
		"a backup writes that a worker is drained":         {lines{"9 +p /drain | +p /drain/w", "2 = /drain/w drained"}, "drain /drain/w"},

		// leader
		"a backup assigns":                                          {lines{"2 = /workers/w t"}, "leader /workers/w"},
		"a worker assigns itself a task":                            {lines{"11 = /workers/w t"}, "leader /workers/w"},
		"a worker assigns another worker a task":                    {lines{"11 = /workers/v t"}, "leader /workers/v"},
		"a worker registers with a task":                            {lines{"13 + /workers/x t"}, "leader /workers/x"},
		"the next leader assigns after a resignation":               {lines{"1 - /master/m-0000000009", "2 = /workers/w t"}, ""},
		"the next leader assigns after an expiry":                   {lines{"1 expire", "2 = /workers/w t"}, ""},
		"a deposed leader assigns":                                  {lines{"7 - /master/m-0000000009", "1 = /workers/w t"}, "leader /workers/w"},
		"the leader assigns and resigns in one transaction":         {lines{"1 = /workers/w t | - /master/m-0000000009"}, ""},
		"a session assigns while nobody leads":                      {lines{"1 close", "2 close", "3 = /workers/w t"}, "leader /workers/w"},
		"a candidate with a higher number and a lower name assigns": {lines{"3 + /master/a-0000000011", "3 = /workers/w t"}, "leader /workers/w"},
		"a candidate made later with a lower number assigns":        {lines{"3 + /master/z-0000000008", "3 = /workers/w t"}, ""},
		"the leader assigns after a lower number was made":          {lines{"3 + /master/z-0000000008", "1 = /workers/w t"}, "leader /workers/w"},
		"a backup takes back a withdrawn task":                      {lines{assign, "21 - /data/t | - /tasks/t", "2 = /workers/w"}, "leader /workers/w"},
		"a session removes a worker of another":                     {lines{"12 - /workers/w"}, "leader /workers/w"},
		"a backup counts a loss":                                    {lines{assign, "11 expire", "2 = /tasks/t pending 1 | = /workers/v t"}, "leader /tasks/t leader /workers/v"},
		"a backup fails a task for its losses":                      {lines{assign, "11 expire", "2 = /tasks/t failed lost with 1 worker"}, "leader /tasks/t"},
		"the leader's session has a worker as well":                 {lines{"1 + /workers/own", "1 = /workers/own t", "1 = /workers/own | = /tasks/t done"}, ""},

		// assign
		"a task is assigned while another worker lists it":     {lines{assign, "1 = /workers/v t"}, "assign /workers/v"},
		"a task is assigned to two workers in one transaction": {lines{"1 = /workers/w t | = /workers/v t"}, "assign /workers/v assign /workers/w"},
		"the leader takes back a withdrawn task":               {lines{assign, "21 - /data/t | - /tasks/t", "1 = /workers/w"}, ""},
		"a task that does not exist is assigned":               {lines{"1 = /workers/w x"}, "assign /workers/w"},
		"a withdrawn task is assigned":                         {lines{"21 - /data/t | - /tasks/t", assign}, "assign /workers/w"},
		"a task that is done is assigned":                      {lines{assign, commit, "1 = /workers/v t"}, "assign /workers/v"},
		"a malformed task is assigned":                         {lines{"99 = /tasks/t strange", assign}, "assign /workers/w"},
		"a busy worker gets a task":                            {lines{assign, assignTwo}, "assign /workers/w"},
		"a lost task is assigned again and no loss is counted": {lines{assign, "11 expire", "1 = /workers/v t"}, ""},
		"the leader takes back a task that is not withdrawn":   {lines{assign, "1 = /workers/w"}, "assign /workers/w"},
		"the leader takes back the withdrawn one of two tasks": {lines{assignTwo, "21 - /data/t | - /tasks/t", "1 = /workers/w u"}, ""},

		"a worker returns the task that it is asked for":     {lines{assignTwo, "1 = /workers/w t,-u", "11 = /workers/w t", "1 = /workers/v u"}, ""},
		"a worker returns one task and finishes the other":   {lines{assignTwo, "1 = /workers/w -t,-u", "11 = /workers/w | = /tasks/t done", "1 = /workers/v u"}, ""},
		"a worker returns another task than it is asked for": {lines{assignTwo, "1 = /workers/w -t,u", "11 = /workers/w t"}, "give back /workers/w"},
		"the leader takes back all tasks of a list":          {lines{assignTwo, "1 = /workers/w"}, "assign /workers/w assign /workers/w"},
		"a worker finishes a task that was taken from it":    {lines{assignTwo, "1 = /workers/w t", "11 = /workers/w | = /tasks/u done"}, "assign /workers/w commit /tasks/u give back /workers/w"},

		// commit
		"a task is done twice": {lines{assign, commit, "11 = /tasks/t done 1"}, "commit /tasks/t"},

		// retry
		"a retried task is done":                                     {lines{detached, fail, "22 = /tasks/u pending", "1 = /workers/v u", "12 = /workers/v | = /tasks/u done"}, ""},
		"a task fails and is retried twice":                          {lines{detached, fail, "22 = /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u failed so", "23 = /tasks/u pending"}, ""},
		"a task is retried while a worker lists it":                  {lines{detached, "1 = /workers/w u", "99 = /tasks/u failed so", "22 = /tasks/u pending", "11 = /workers/w | = /tasks/u done"}, ""},
		"a task that is done is retried":                             {lines{detached, "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "22 = /tasks/u pending"}, "commit /tasks/u"},
		"a task that was done after a retry is retried":              {lines{detached, fail, "22 = /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "22 = /tasks/u pending"}, "commit /tasks/u"},
		"a pending task is retried":                                  {lines{detached, "22 = /tasks/u pending"}, "give back /tasks/u"},
		"a retried task is retried":                                  {lines{detached, fail, "22 = /tasks/u pending", "23 = /tasks/u pending"}, "give back /tasks/u"},
		"a task is retried twice in one transaction":                 {lines{detached, fail, "22 = /tasks/u pending | = /tasks/u pending"}, "commit /tasks/u"},
		"a task is retried with losses":                              {lines{detached, fail, "22 = /tasks/u pending 1"}, "commit /tasks/u"},
		"a stranger retries an attached task":                        {lines{assign, "11 = /workers/w | = /tasks/t failed so", "22 = /tasks/t pending"}, "commit /tasks/t"},
		"the leader retries a task":                                  {lines{detached, fail, "1 = /tasks/u pending"}, "commit /tasks/u"},
		"a backup retries a task":                                    {lines{detached, fail, "2 = /tasks/u pending"}, "commit /tasks/u"},
		"a worker that leaves retries a failed task":                 {lines{detached, "1 = /workers/w u", "99 = /tasks/u failed so", "11 - /workers/w | = /tasks/u pending"}, "commit /tasks/u give back /workers/w"},
		"a stranger overwrites failed with done":                     {lines{detached, fail, "22 = /tasks/u done"}, "commit /tasks/u"},
		"a worker overwrites failed with done":                       {lines{detached, "1 = /workers/w u", "99 = /tasks/u failed so", "11 = /workers/w | = /tasks/u done"}, "commit /tasks/u"},
		"a worker fails and retries a task in one transaction":       {lines{detached, "1 = /workers/w u", "11 = /workers/w | = /tasks/u failed so | = /tasks/u pending"}, "commit /tasks/u give back /tasks/u give back /workers/w"},
		"the leader retries and assigns a task in one transaction":   {lines{detached, fail, "1 = /tasks/u pending | = /workers/v u"}, "assign /workers/v commit /tasks/u"},
		"losses count from 0 after a retry":                          {lines{detached, lose, "22 = /tasks/u pending", "1 = /workers/v u", "12 expire", "13 + /workers/x", "1 = /tasks/u pending 1 | = /workers/x u"}, ""},
		"a loss before a retry is counted after it":                  {lines{detached, lose, "22 = /tasks/u pending", "1 = /tasks/u pending 1 | = /workers/v u"}, "losses /tasks/u"},
		"a task is set twice in one transaction":                     {lines{assign, "11 = /tasks/t pending | = /workers/w | = /tasks/t done"}, "commit /tasks/t"},
		"a worker finishes a task and still lists it":                {lines{assign, "11 = /tasks/t done"}, "commit /tasks/t"},
		"a worker finishes a task of another":                        {lines{assign, "12 = /tasks/t done"}, "commit /tasks/t"},
		"a client finishes its task":                                 {lines{"21 = /tasks/t done"}, "commit /tasks/t"},
		"the leader finishes a task":                                 {lines{assign, "1 = /tasks/t done"}, "commit /tasks/t"},
		"the leader fails a task without a loss":                     {lines{"1 = /tasks/t failed so"}, "commit /tasks/t"},
		"a worker finishes a task that a person took from it":        {lines{assign, "99 = /workers/w", "11 = /tasks/t done"}, "commit /tasks/t"},
		"a worker finishes a task and leaves":                        {lines{assign, "11 = /tasks/t done | - /workers/w"}, ""},
		"a session finishes the task that its worker gave back":      {lines{assign, "11 - /workers/w | = /tasks/t pending", "11 = /tasks/t done"}, "commit /tasks/t"},
		"a worker writes a malformed state":                          {lines{assign, "11 = /workers/w | = /tasks/t finished"}, "commit /tasks/t"},
		"the leader fails a task after two losses":                   {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "12 expire", "1 = /tasks/t failed lost with 2 workers"}, ""},
		"the leader fails a task for losses while a worker lists it": {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "1 = /tasks/t failed lost with 2 workers"}, "commit /tasks/t losses /tasks/t"},

		"the leader fails and assigns a task in one transaction": {lines{assign, "11 expire", "1 = /tasks/t failed lost with 1 worker | = /workers/v t"}, "assign /workers/v"},

		// losses
		"the leader fails a task for a loss that never was":       {lines{"1 = /tasks/t failed lost with 1 worker"}, "losses /tasks/t"},
		"the leader fails a task for more losses than there were": {lines{assign, "11 expire", "1 = /tasks/t failed lost with 2 workers"}, "commit /tasks/t"},
		"the leader counts a loss that never was":                 {lines{"1 = /tasks/t pending 1 | = /workers/w t"}, "losses /tasks/t"},
		"the leader counts one loss twice":                        {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "12 - /workers/v | = /tasks/t pending 1", "13 + /workers/x", "1 = /tasks/t pending 2 | = /workers/x t"}, "losses /tasks/t"},
		"the leader counts two losses at once":                    {lines{assign, "11 expire", "1 = /tasks/t pending 2 | = /workers/v t"}, "losses /tasks/t"},
		"a worker that leaves drops a loss":                       {lines{assign, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t", "12 - /workers/v | = /tasks/t pending"}, "losses /tasks/t"},
		"a loss is counted without an assignment":                 {lines{assign, "11 expire", "1 = /tasks/t pending 1"}, "losses /tasks/t"},
		"a loss is counted for the second task of a list":         {lines{assignTwo, "11 expire", "1 = /tasks/u pending 1 | = /workers/v u"}, "losses /tasks/u"},
		"a loss is counted for the first task of a list":          {lines{assignTwo, "11 expire", "1 = /tasks/t pending 1 | = /workers/v t"}, ""},
		"a loss is counted for a task that was given back":        {lines{assign, "11 - /workers/w | = /tasks/t pending", "1 = /tasks/t pending 1 | = /workers/v t"}, "losses /tasks/t"},
		"a loss is counted for a worker that a person removed":    {lines{assign, "99 - /workers/w", "1 = /tasks/t pending 1 | = /workers/v t"}, ""},

		// give back
		"a worker gives back its task":                           {lines{assign, "11 = /tasks/t pending | - /workers/w", "1 = /workers/v t"}, ""},
		"a worker gives back a task of another":                  {lines{assign, "12 = /tasks/t pending"}, "give back /tasks/t"},
		"the leader gives back a task":                           {lines{"1 = /tasks/t pending"}, "give back /tasks/t"},
		"a worker gives back a task that it still lists":         {lines{assign, "11 = /tasks/t pending"}, "give back /tasks/t"},
		"a worker gives back its task and stays":                 {lines{assign, "11 = /tasks/t pending | = /workers/w"}, "give back /tasks/t give back /workers/w"},
		"a worker leaves with its task":                          {lines{assign, "11 - /workers/w"}, "give back /workers/w"},
		"a worker leaves with one of two tasks":                  {lines{assignTwo, "11 = /tasks/t pending | - /workers/w"}, "give back /workers/w"},
		"a free worker leaves":                                   {lines{"11 - /workers/w"}, ""},
		"a worker leaves with a withdrawn task":                  {lines{assign, "21 - /data/t | - /tasks/t", "11 - /workers/w"}, ""},
		"a worker frees itself of a withdrawn task":              {lines{assign, "21 - /data/t | - /tasks/t", "11 = /workers/w"}, ""},
		"a worker frees itself of a task that a person finished": {lines{assign, "99 = /tasks/t done by hand", "11 = /workers/w"}, ""},
		"a worker frees itself of a pending task":                {lines{assign, "11 = /workers/w"}, "give back /workers/w"},

		// ids
		"a task's id is used again":                  {lines{"21 - /data/t | - /tasks/t", "21 + /data/t | + /tasks/t"}, "ids /data/t ids /tasks/t"},
		"a worker's id is used again":                {lines{"11 - /workers/w", "11 + /workers/w"}, "ids /workers/w"},
		"a candidate's name is used again":           {lines{"2 - /master/m-0000000010", "2 + /master/m-0000000010"}, "ids /master/m-0000000010"},
		"a worker is persistent":                     {lines{"11 +p /workers/x"}, "ids /workers/x"},
		"a candidate is persistent":                  {lines{"11 +p /master/x-0000000011"}, "ids /master/x-0000000011"},
		"a payload is changed":                       {lines{"21 = /data/t 2"}, "ids /data/t"},
		"a task is submitted in two transactions":    {lines{"21 + /data/u", "21 + /tasks/u"}, "ids /data/u ids /tasks/u"},
		"a persistent payload has an ephemeral task": {lines{"21 +p /data/u | + /tasks/u"}, "ids /tasks/u"},
		"a task is submitted as done":                {lines{"21 + /data/u | + /tasks/u done"}, "ids /tasks/u"},

		// remove
		"the end of a client withdraws its task":                    {lines{"21 close"}, ""},
		"a stranger cancels a task":                                 {lines{assign, "22 - /data/t | - /tasks/t", "1 = /workers/w"}, ""},
		"a stranger cancels a task without payload":                 {lines{"99 - /data/t", "22 - /tasks/t"}, ""},
		"a stranger removes a task without its payload":             {lines{"22 - /tasks/t"}, "remove /tasks/t"},
		"a stranger removes the payload of a pending task":          {lines{"22 - /data/t"}, "remove /data/t"},
		"the leader cancels a task":                                 {lines{"1 - /data/t | - /tasks/t"}, "remove /tasks/t"},
		"a backup cancels a task":                                   {lines{"2 - /data/t | - /tasks/t"}, "leader /tasks/t"},
		"a stranger removes a finished task":                        {lines{assign, commit, "22 - /data/t | - /tasks/t"}, ""},
		"the leader removes a pending detached task":                {lines{"21 +p /data/u | +p /tasks/u", "1 - /data/u | - /tasks/u"}, "remove /tasks/u"},
		"a stranger cancels a detached task":                        {lines{"21 +p /data/u | +p /tasks/u", "22 - /data/u | - /tasks/u"}, ""},
		"the leader removes a failed detached task":                 {lines{detached, fail, "1 - /tasks/u | - /data/u"}, ""},
		"the leader removes a detached task without payload":        {lines{detached, fail, "99 - /data/u", "1 - /tasks/u"}, ""},
		"the leader removes a detached task and leaves its payload": {lines{detached, fail, "1 - /tasks/u"}, "remove /tasks/u"},
		"the leader removes the payload of a detached task":         {lines{detached, fail, "1 - /data/u"}, "remove /data/u"},
		"a backup removes a finished task":                          {lines{detached, fail, "2 - /tasks/u | - /data/u"}, "leader /tasks/u"},
		"a deposed leader removes a finished task":                  {lines{detached, fail, "7 - /master/m-0000000009", "1 - /tasks/u | - /data/u"}, "leader /tasks/u"},
		"the next leader removes a finished task":                   {lines{detached, fail, "1 expire", "2 - /tasks/u | - /data/u"}, ""},
		"the leader removes a retried task":                         {lines{detached, fail, "22 = /tasks/u pending", "1 - /tasks/u | - /data/u"}, "remove /tasks/u"},
		"the leader removes a finished attached task":               {lines{assign, commit, "1 - /tasks/t | - /data/t"}, "remove /tasks/t"},
		"a stranger removes a payload without a task":               {lines{detached, "23 - /tasks/u", "22 - /data/u"}, ""},
		"a backup removes a payload without a task":                 {lines{detached, "23 - /tasks/u", "2 - /data/u"}, "leader /data/u"},
		"the leader removes a client's payload without a task":      {lines{"99 - /tasks/t", "1 - /data/t"}, "remove /data/t"},
		"the leader removes the payload of a pending task":          {lines{"1 - /data/t"}, "remove /data/t"},
		"a client removes its payload after its task":               {lines{"99 - /tasks/t", "21 - /data/t"}, ""},

		// session
		"a session writes after its end":             {lines{"21 close", "21 +p /data/u | +p /tasks/u"}, "session /data/u"},
		"a session ends twice":                       {lines{"21 close", "21 expire"}, ""},
		"a session writes after it was opened again": {lines{"21 close", "21 open", "21 + /data/u | + /tasks/u"}, ""},
		"a write after the session's end is refused": {lines{"21 close", "21 ! 0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := violations(script(t, tc.lines...), Options{}); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// violations lists the rules and znodes that are violated. Session 99 is a person's.
func violations(txns []Txn, o Options) string {
	o.Manual = []int64{99}
	r := Check(txns, o)
	var got []string
	for _, v := range r.Violations {
		got = append(got, fmt.Sprint(v.Rule, " ", v.Znode))
	}
	slices.Sort(got)
	if (r.Err() == nil) != (len(got) == 0) {
		got = append(got, fmt.Sprint("Err: ", r.Err()))
	}
	return strings.Join(got, " ")
}

func TestCheckOptions(t *testing.T) {
	t.Parallel()
	const (
		detached = "24 +p /data/u 1 | +p /tasks/u pending"
		// 9 ms old.
		failed = detached + "\n1 = /workers/w u\n11 = /workers/w | = /tasks/u failed so"
		leave  = "11 close\n12 close\n21 close\n1 close\n2 close"
		pause  = "9 open\n9 close" // of 2 ms
	)
	keep, end := Options{Retention: 3 * time.Millisecond}, Options{Finished: true}
	for name, tc := range map[string]struct {
		o     Options
		lines []string
		want  string
	}{
		"the leader removes a result in time":               {keep, []string{failed, pause, "1 - /tasks/u | - /data/u"}, ""},
		"the leader removes a result too early":             {keep, []string{failed, "9 open", "1 - /tasks/u | - /data/u"}, "remove /tasks/u"},
		"a client collects a result early":                  {keep, []string{failed, "9 - /tasks/u | - /data/u"}, ""},
		"a retry does not restart the retention":            {keep, []string{failed, "9 = /tasks/u pending", "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", "9 open", "1 - /tasks/u | - /data/u"}, "remove /tasks/u"},
		"the leader removes a payload in time":              {keep, []string{failed, "9 - /tasks/u", pause, "1 - /data/u"}, ""},
		"a payload is old though its task was just removed": {keep, []string{failed, pause, "8 - /tasks/u", "9 open", "1 - /data/u"}, ""},
		"a payload never had a task":                        {keep, []string{"99 +p /data/x", pause, "1 - /data/x"}, ""},
		"the leader removes a payload too early":            {keep, []string{pause, "99 +p /data/x", "1 - /data/x"}, "remove /data/x"},

		"all have left":           {end, []string{leave}, ""},
		"nobody has left":         {end, nil, "end /data end /master end /tasks end /workers"},
		"a worker is left":        {end, []string{"11 close\n21 close\n1 close\n2 close"}, "end /workers"},
		"a detached task is left": {end, []string{detached, "1 = /workers/w u", "11 = /workers/w | = /tasks/u done", leave}, "end /data end /tasks"},
		"a payload is left":       {end, []string{detached, "23 - /tasks/u", leave}, "end /data"},
	} {
		t.Run(name, func(t *testing.T) {
			txns := script(t, tc.lines...)
			if got := violations(txns, tc.o); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if got := violations(txns, Options{}); got != "" {
				t.Errorf("without the option: %q", got)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	got := Check(script(t,
		"1 = /workers/w t", // 7 ms
		"11 expire",
		"1 ! 2",
		"7 - /master/m-0000000009", // 10 ms
		"1 ! 0",
		"2 = /tasks/t pending 1 | = /workers/v t",
		"12 - /workers/v | = /tasks/t pending 1",
		"12 + /workers/x",
		"2 = /workers/x t",
		"21 - /data/t | - /tasks/t",
		"2 = /workers/x",
		"2 expire",
		"22 open",
		"22 +p /data/u | +p /tasks/u | + /workers/y", // 20 ms
		"3 + /master/m-0000000011",
		"3 = /workers/y u",
		"22 = /tasks/u failed so | = /workers/y",
		"23 = /tasks/u pending",
		"3 = /workers/y u",
		"22 = /tasks/u done | = /workers/y",
		"3 - /tasks/u | - /data/u",
		"21 + /data/a | + /tasks/a",
		"21 + /data/b | + /tasks/b",
		"3 = /workers/y a,b", // 30 ms
		"3 = /workers/y a,-b",
		"22 = /workers/y a",
		"9 +p /drain | +p /drain/w",
		"3 = /drain/w drained",
	), Options{})
	want := Report{
		Txns: 34, Sessions: 1, Expired: 2,
		Created: 4, Done: 1, Failed: 1, Withdrawn: 1, Retried: 1, Uncollected: 1,
		Assigned: 6, MostAssigned: 3, GivenBack: 1, TakenBack: 1, Returned: 1, Losses: 1, Drained: 1,
		Workers: 4, WorkersLost: 1, Orphans: 1,
		Terms:    []Term{{at(2), at(10)}, {at(10), at(18)}, {Began: at(21)}},
		Finishes: []time.Time{at(23), at(26)},
		Fenced:   1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}
