import Core

#if canImport(Glibc)
    import Glibc
#endif

extension SyntheticInteractions {
    /// The title of an item, 0 … items − 1: a product name that no other item has. O(1).
    public func title(ofItem item: Int) -> String {
        let taste = Int(shop.firstTaste[item])
        let department = Self.departments[taste % Self.departments.count]
        // Steps without a common divisor with the number of combinations visit each once before any comes again.
        let nouns = department.nouns
        let combinations = nouns.count * Self.adjectives.count * Self.materials.count
        let round = item / combinations
        var place = (item % combinations) * 1_000_003 % combinations
        let noun = nouns[place % nouns.count]
        place /= nouns.count
        let material = Self.materials[place % Self.materials.count]
        let adjective = Self.adjectives[place / Self.materials.count]
        return "\(adjective) \(material) \(noun)" + (round == 0 ? "" : " No. \(round + 1)")
    }

    /// The department of an item: the name of its first taste.
    public func department(ofItem item: Int) -> String {
        departmentName(Int(shop.firstTaste[item]))
    }

    private func departmentName(_ taste: Int) -> String {
        let round = taste / Self.departments.count
        return Self.departments[taste % Self.departments.count].name + (round == 0 ? "" : " \(round + 1)")
    }

    /// Writes `item,title,department` for every item, numbered from 1.
    /// - Throws: `SystemError` when the file can't be written.
    public func writeTitles(to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write("item,title,department\n")
        for item in 0..<options.items {
            try file.write("\(item + 1),\(title(ofItem: item)),\(department(ofItem: item))\n")
        }
        try file.commit()
    }

    /// Writes what is behind the data into a folder, which is made where it is missing: `user_tastes.csv`
    /// (`user,taste,first_share,last_share`), `item_tastes.csv` (`item,taste,share,popularity`) and `tastes.csv`
    /// (`taste,department,season_day`, the day of the year or empty).
    /// - Throws: `SystemError` when a file can't be written.
    public func writeTruth(to folder: String) throws {
        if mkdir(folder, 0o777) != 0, errno != EEXIST {
            throw SystemError(operation: "make the folder", object: folder, code: errno)
        }
        let users = try AtomicFile(path: folder + "/user_tastes.csv")
        try users.write("user,taste,first_share,last_share\n")
        for user in 0..<options.users {
            let likes = shop.tastes(ofUser: user)
            for place in likes.tastes.indices {
                try users.write("\(user + 1),\(likes.tastes[place] + 1),\(likes.first[place]),\(likes.last[place])\n")
            }
        }
        let items = try AtomicFile(path: folder + "/item_tastes.csv")
        try items.write("item,taste,share,popularity\n")
        for item in 0..<options.items {
            let share = shop.firstShare[item]
            try items.write("\(item + 1),\(shop.firstTaste[item] + 1),\(share),\(shop.popularity[item])\n")
            if shop.secondTaste[item] != shop.firstTaste[item] {
                try items.write("\(item + 1),\(shop.secondTaste[item] + 1),\(1 - share),\(shop.popularity[item])\n")
            }
        }
        let tastes = try AtomicFile(path: folder + "/tastes.csv")
        try tastes.write("taste,department,season_day\n")
        for taste in 0..<options.tastes {
            let season = shop.season[taste] < 0 ? "" : String(Int(shop.season[taste]))
            try tastes.write("\(taste + 1),\(departmentName(taste)),\(season)\n")
        }
        for file in [users, items, tastes] { try file.commit() }
    }

    private struct Department {
        let name: String
        let nouns: [String]

        init(_ name: String, _ nouns: String) {
            self.name = name
            self.nouns = nouns.split(separator: ",").map(String.init)
        }
    }

    private static let adjectives =
        ("Alpine,Amber,Arctic,Autumn,Basic,Bold,Bright,Calm,Classic,Coastal,Compact,Copenhagen,Cosy,Crimson,Daily,"
        + "Elegant,Emerald,Essential,Everyday,Fine,Fresh,Gentle,Golden,Grand,Harbour,Heritage,Indigo,Ivory,Jade,Light,"
        + "Little,Lunar,Maple,Merry,Midnight,Mild,Modern,Natural,Nordic,Olive,Original,Pearl,Prime,Pure,Quiet,Royal,"
        + "Rustic,Sage,Scarlet,Silver,Simple,Smart,Smooth,Solar,Sunny,Swift,Urban,Velvet,Vintage,Wild,Winter")
        .split(separator: ",").map(String.init)

    private static let materials =
        ("Ash,Bamboo,Beech,Brass,Canvas,Carbon,Cedar,Ceramic,Clay,Copper,Cork,Cotton,Crystal,Denim,Felt,Flax,Glass,"
        + "Hemp,Jersey,Leather,Linen,Marble,Merino,Mesh,Oak,Paper,Pine,Rattan,Silk,Steel,Stone,Suede,Walnut,Wool")
        .split(separator: ",").map(String.init)

    /// No noun stands in two departments: that keeps titles apart.
    private static let departments: [Department] = [
        Department("Kitchen", "Kettle,Saucepan,Chopping Board,Mixing Bowl,Teapot,Pepper Mill,Bread Knife,Ladle"),
        Department("Garden", "Planter,Watering Can,Garden Chair,Trowel,Bird House,Hammock,Lantern,Seed Box"),
        Department(
            "Running", "Running Shoe,Running Shirt,Running Short,Hydration Vest,Sport Sock,Headband,Wind Jacket"),
        Department("Books", "Novel,Cookbook,Travel Guide,Atlas,Biography,Notebook,Story Collection,Field Guide"),
        Department("Coffee", "Coffee Grinder,Espresso Cup,Coffee Dripper,Coffee Canister,Milk Jug,Travel Mug"),
        Department("Baby", "Baby Blanket,Pram Cover,Baby Bib,Rattle,Baby Cap,Sleeping Bag,Nursing Pillow"),
        Department("Music", "Guitar Strap,Music Stand,Drum Stick,Ukulele,Record Shelf,Metronome,Piano Bench"),
        Department("Bath", "Towel,Bath Mat,Soap Dish,Bathrobe,Shower Curtain,Bath Brush,Wash Bag"),
        Department("Office", "Desk Lamp,Pen Holder,Desk Pad,Letter Tray,Office Chair,Book End,File Box"),
        Department("Dogs", "Dog Bed,Dog Lead,Food Bowl,Chew Toy,Dog Coat,Dog Collar,Treat Jar"),
        Department("Cats", "Cat Tree,Scratching Post,Cat Cushion,Cat Tunnel,Feather Wand,Cat Basket"),
        Department("Camping", "Tent,Camp Stove,Camping Mat,Headlamp,Camp Chair,Water Bottle,Fire Bowl"),
        Department("Toys", "Building Set,Puzzle,Doll House,Toy Train,Spinning Top,Marble Run,Kite"),
        Department("Art", "Paint Box,Sketchbook,Easel,Brush Set,Modelling Set,Colour Pencil Set,Palette"),
        Department("Bedroom", "Pillow,Duvet Cover,Bedside Table,Bed Frame,Throw,Mattress Topper,Night Light"),
        Department("Living Room", "Side Table,Sofa,Floor Lamp,Rug,Bookcase,Armchair,Picture Frame,Vase"),
        Department("Cycling", "Bike Helmet,Saddle Bag,Cycling Glove,Bike Bell,Handlebar Tape,Bike Light,Pannier"),
        Department("Women", "Dress,Blouse,Cardigan,Skirt,Scarf,Summer Hat,Trench Coat,Handbag"),
        Department("Men", "Oxford Shirt,Chino,Waistcoat,Belt,Tie,Overcoat,Polo,Wallet"),
        Department("Yoga", "Yoga Mat,Yoga Block,Meditation Cushion,Yoga Strap,Leggings,Bolster"),
        Department("Jewellery", "Necklace,Earring Pair,Bracelet,Ring,Brooch,Watch,Jewellery Box"),
        Department("Tools", "Hammer,Screwdriver Set,Tool Chest,Workbench,Hand Saw,Spirit Level,Clamp"),
        Department("Tea", "Tea Caddy,Tea Strainer,Tea Tray,Tea Cosy,Gaiwan,Tea Sampler"),
        Department("Christmas", "Advent Calendar,Tree Ornament,Candle Arch,Stocking,Nutcracker,Wreath,Tree Star"),
    ]
}
