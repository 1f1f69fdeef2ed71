#!/usr/bin/env escript
%%! +sbwt none +sbt db +S 2:2
%% benchmark.escript SERVER RECORDS RATE UPGRADES WINDOW_MS MIGRATE
%%
%% Upgrades ledger_server.erl under RATE messages a second. Prints two lines of numbers, the longest delays in nanoseconds, one for
%% each window: `control` without an upgrade, `upgrade` with one, which alternate; then `counts COUNT LOST LATE`.
main([Source, Records, Rate, Upgrades, Window, Migrate]) ->
    {ok, ledger_server, Old} = compile:file(Source, [binary]),
    {ok, ledger_server, New} = compile:file(Source, [binary, {d, 'NEW'}]),
    load(Old),
    {ok, Server} = ledger_server:start(list_to_integer(Records)),
    Interval = 1000000000 div list_to_integer(Rate),
    Sender = spawn_link(fun() -> send(Server, 1, erlang:monotonic_time(nanosecond), Interval) end),
    Ms = list_to_integer(Window),
    timer:sleep(500),
    gen_server:call(Server, worst, infinity),
    Count = list_to_integer(Upgrades),
    {Control, Upgraded} = lists:unzip([
        {window(Server, Ms, fun() -> ok end), window(Server, Ms, fun() -> upgrade(Server, N, Migrate, Old, New) end)}
     || N <- lists:seq(1, Count)
    ]),
    unlink(Sender),
    exit(Sender, kill),
    {Total, Lost, Late} = gen_server:call(Server, counts, infinity),
    print("control", Control),
    print("upgrade", Upgraded),
    print("counts", [Total, Lost, Late]).

print(Name, Numbers) -> io:format("~s ~s~n", [Name, string:join([integer_to_list(N) || N <- Numbers], " ")]).

load(Binary) ->
    code:purge(ledger_server),
    {module, ledger_server} = code:load_binary(ledger_server, "ledger_server.erl", Binary).

window(Server, Ms, Work) ->
    timer:sleep(Ms div 2),
    Work(),
    timer:sleep(Ms div 2),
    gen_server:call(Server, worst, infinity).

%% As a release handler does it: suspend, load, convert, resume.
upgrade(Server, Number, Migrate, Old, New) ->
    {Binary, How} = case {Migrate, Number rem 2} of
        {"keep", _} -> {Old, keep};
        {"migrate", 1} -> {New, widen};
        {"migrate", 0} -> {Old, narrow}
    end,
    ok = sys:suspend(Server, infinity),
    load(Binary),
    ok = sys:change_code(Server, ledger_server, undefined, How, infinity),
    ok = sys:resume(Server, infinity).

%% Every message is due at a time of its own, whether or not the one before was late.
send(Server, Number, Due, Interval) ->
    wait(Due),
    Server ! {message, Number, Due},
    send(Server, Number + 1, Due + Interval, Interval).

wait(Due) ->
    case erlang:monotonic_time(nanosecond) < Due of
        true -> wait(Due);
        false -> ok
    end.
