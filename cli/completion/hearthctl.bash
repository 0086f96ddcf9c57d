# SPDX-License-Identifier: Apache-2.0
# Completion of hearthctl for bash. A test compares it with the commands and options that hearthctl knows.

_hearthctl_models() # names in the store; nothing when hearthd is not there
{
    hearthctl model list --json 2>/dev/null | grep -o '"name":"[A-Za-z0-9._-]*","version"' | cut -d '"' -f 4 | sort -u
}

_hearthctl_levels()
{
    printf '%s\n' auto fast balanced best
    hearthctl model info --json 2>/dev/null | grep -o '"name":"[A-Za-z0-9._-]*","cost"' | cut -d '"' -f 4
}

_hearthctl()
{
    local global="--socket --json -j --color --help -h --version"
    local generate="--system -s --level -l --max-tokens -n --temperature -t --top-k --top-p --min-p
        --repetition-penalty --seed --stop --class --deadline --conversation -c --stats --no-progress"
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local word command="" sub="" options="" i

    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do # the command is the first word that is no option nor the value of one
        word=${COMP_WORDS[i]}
        case $word in
        --socket | --color) ((i++)) ;;
        -*) ;;
        *) if [ -z "$command" ]; then command=$word; elif [ -z "$sub" ]; then sub=$word; fi ;;
        esac
    done

    case $previous in # values of options
    --socket | --file | -f | --image | -i | --tools)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --color)
        mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$current")
        return
        ;;
    --class)
        mapfile -t COMPREPLY < <(compgen -W "background interactive realtime" -- "$current")
        return
        ;;
    --level | -l)
        mapfile -t COMPREPLY < <(compgen -W "$(_hearthctl_levels)" -- "$current")
        return
        ;;
    --system | -s | --max-tokens | -n | --temperature | -t | --top-k | --top-p | --min-p | --repetition-penalty | --seed | \
        --stop | --deadline | --conversation | -c | --name | --sha256 | --interval)
        return
        ;;
    esac

    case $command in
    "") options="ask complete chat status ps top cancel model conversation tokenize metrics level drain doctor help version" ;;
    ask) options="$generate --file -f --image -i --tools --stream" ;;
    complete) options="$generate --file -f --image -i --stream" ;;
    chat) options="$generate --tools" ;;
    top) options="--interval" ;;
    tokenize) options="--count --special" ;;
    level) options=$(_hearthctl_levels) ;;
    conversation)
        case $sub in
        "") options="open close" ;;
        open) options="--system -s" ;;
        esac
        ;;
    model)
        case $sub in
        "") options="list info add activate remove load unload" ;;
        add) options="--name --sha256 --no-activate --no-progress" ;;
        activate | load) options="--no-progress $(_hearthctl_models)" ;;
        info | remove) options=$(_hearthctl_models) ;;
        esac
        ;;
    help)
        case $sub in
        "") options="ask complete chat status ps top cancel model conversation tokenize metrics level drain doctor help version" ;;
        model) options="list info add activate remove load unload" ;;
        conversation) options="open close" ;;
        esac
        ;;
    esac
    [[ $current == -* || -z $command ]] && options="$options $global"
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    if [ "$command $sub" = "model add" ] && [[ $current != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _hearthctl hearthctl
